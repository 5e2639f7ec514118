"""A collector of traces: takes OTLP over HTTP as those of others do, and keeps what it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.running.waiting import PATIENCE_SECONDS


@dataclass(frozen=True)
class Told:
    """A span as it came. Ids are hexadecimal; `parent` is empty where a trace begins."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: str
    facts: dict[str, Any]
    is_failed: bool


@dataclass
class Collector:
    """Answers with `status`, or not at all before `go_on` is set."""

    endpoint: str = ""
    status: int = 200
    spans: list[Told] = field(default_factory=list)
    raw: bytes = b""
    # Exports that have come, and of those the ones whose sender still waits.
    count: int = 0
    waiting: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.count += 1
        self.waiting += 1
        self._changed.set()
        try:
            await self.go_on.wait()
        finally:
            self.waiting -= 1
        if self.status < 300:
            self.raw += body
            self.spans += _read(body)
            self._changed.set()
        return web.Response(status=self.status, content_type="application/x-protobuf")

    async def exports(self, count: int) -> None:
        """Wait until so many have come."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count < count:
                await self._next()

    async def find(self, name: str, service: str = "", **facts: str) -> Told:
        """The first span of a name, as soon as it is there; `facts` with `_` for dots."""
        wanted = {key.replace("_", "."): text for key, text in facts.items()}.items()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for each in self.list(name, service):
                    if wanted <= each.facts.items():
                        return each
                await self._next()

    async def whole(self, trace: str, count: int) -> list[Told]:
        """So many spans of a trace, as soon as they are there; daemons send theirs by turns."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found := [each for each in self.spans if each.trace == trace]) < count:
                await self._next()
        return found

    def list(self, name: str, service: str = "") -> list[Told]:
        return [each for each in self.spans if each.name == name and service in ("", each.service)]

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@asynccontextmanager
async def running_collector() -> AsyncIterator[Collector]:
    """One that answers at once."""
    collector = Collector()
    collector.go_on.set()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        collector.go_on.set()
        await runner.cleanup()


def _read(body: bytes) -> list[Told]:
    return [
        Told(
            service=_facts_of(group.resource)["service.name"],
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            facts=_facts_of(span),
            is_failed=span.status.code == Status.STATUS_CODE_ERROR,
        )
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _facts_of(described: Any) -> dict[str, Any]:
    return {each.key: _value_of(each.value) for each in described.attributes}


def _value_of(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
