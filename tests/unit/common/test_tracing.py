"""Traces: off they are nothing, on they tell whose step was whose, and they hold nobody up."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from backendai.common.access_log import AccessLog
from backendai.common.faults import SessionNotFound
from backendai.common.http import make_app, serve
from backendai.common.logs import context_field
from backendai.common.otlp import OtlpTracer
from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import BadSettings, check_settings
from backendai.common.settings.sections import TracingSettings
from backendai.common.spans import NO_SPAN, SpanKind
from backendai.common.tracing import is_traced, span, trace_headers, traced, traceparent
from tests.running.collector import Collector, running_collector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{PARENT}-01"
DAEMONS = ("manager", "agent", "storage", "webserver", "wsproxy")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


class Kept(logging.Handler):
    """What our log gets. pytest's own also hears loggers that hand on nothing."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    root, kept = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.INFO)
    yield kept.records
    root.setLevel(level)
    root.removeHandler(kept)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = record.__dict__.get("fields", {})
    return found


def settings_of(collector: Collector, sample: float = 1.0) -> TracingSettings:
    return TracingSettings(endpoint=collector.endpoint, sample=sample)


def test_daemons_import_nothing_of_opentelemetry() -> None:
    modules = [f"backendai.{daemon}.app" for daemon in DAEMONS]
    code = (
        "import asyncio, importlib, sys\n"
        # This library looks by itself whether it is installed.
        "sys.modules['opentelemetry'] = None; import redis.asyncio\n"
        "del sys.modules['opentelemetry']\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "from backendai.common.settings.sections import TracingSettings\n"
        "from backendai.common.tracing import span, traced\n"
        "async def main():\n"
        "    async with traced(TracingSettings(), 'backendai-test', '1'):\n"
        "        with span('step'): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


async def test_without_a_collector_a_span_is_nothing() -> None:
    async with traced(TracingSettings(), "backendai-test", "1"):
        with span("step", parent=GIVEN) as here:
            here.note({"a": 1})
            here.fail("broken")
            assert here is NO_SPAN
            assert (here.trace_id, traceparent(), trace_headers()) == ("", "", {})
        assert not is_traced()


async def test_a_daemon_without_the_packages_works_untraced_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, logged: list[logging.LogRecord]
) -> None:
    monkeypatch.delitem(sys.modules, "backendai.common.otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    async with served(settings_of(collector), []) as url:
        assert not is_traced()
        told = await (await ask(f"{url}/things/one", traceparent=GIVEN)).json()
    assert told == {"trace": None, "next": {}}
    ours = [record for record in logged if record.name == "backendai.common.tracing"]
    assert [record.getMessage() for record in ours] == ["tracing.impossible"]
    fields = fields_of(ours[0])
    assert fields["endpoint"] == collector.endpoint
    assert "opentelemetry" in fields["why"]
    assert fields["fix"] == f"{sys.prefix}/bin/pip install 'backendai-common[tracing]'"


def test_bad_settings_are_told_at_once() -> None:
    given = {"endpoint": "http://user:password@collector:4318", "sample": 1.5}
    with pytest.raises(BadSettings) as caught:
        check_settings(TracingSettings, given, "test")
    told = str(caught.value)
    assert "endpoint" in told
    assert 'an address such as "http://127.0.0.1:4318"' in told
    assert "sample" in told
    assert "a number from 0 to 1" in told


async def test_steps_are_told_with_whose_they_are(collector: Collector) -> None:
    async with traced(settings_of(collector), "backendai-test", "1"):
        with span("outer", facts={"waiting": 3}) as outer:
            trace_id = outer.trace_id
            assert context_field("trace_id") == trace_id
            assert traceparent().split("-")[1] == trace_id
            with span("inner", SpanKind.CLIENT, begins_trace=False):
                await asyncio.create_task(_step_in_a_task())
        assert context_field("trace_id") is None
        with span("other"), pytest.raises(SessionNotFound), span("failed"):
            raise SessionNotFound("of somebody secret")
        with span("asked all the time", begins_trace=False) as nothing:
            assert nothing is NO_SPAN
    first, inner, task = [await collector.find(name) for name in ("outer", "inner", "in a task")]
    assert (first.trace, first.parent, first.kind) == (trace_id, "", "INTERNAL")
    assert (inner.trace, inner.parent, inner.kind) == (trace_id, first.id, "CLIENT")
    assert (task.trace, task.parent) == (trace_id, inner.id)
    assert first.facts == {"waiting": 3}
    failed, other = await collector.find("failed"), await collector.find("other")
    assert failed.parent == other.id
    assert other.trace != trace_id
    assert failed.is_failed
    assert not other.is_failed
    assert failed.facts == {"error.type": SessionNotFound.code}
    assert b"secret" not in collector.raw
    assert not collector.list("asked all the time")
    assert {each.service for each in collector.spans} == {"backendai-test"}


async def _step_in_a_task() -> None:
    with span("in a task"):
        await asyncio.sleep(0)


async def answer(request: web.Request) -> web.Response:
    if request.match_info["what"] == "breaks":
        raise RuntimeError("a secret detail")
    return web.json_response({"trace": context_field("trace_id"), "next": trace_headers()})


@asynccontextmanager
async def served(settings: TracingSettings, lines: list[str]) -> AsyncIterator[str]:
    access_log = AccessLog(write=lines.append)
    app = make_app(access_log=access_log)
    app.router.add_get("/things/{what}", answer)
    app.router.add_get("/health", say_well)
    async with (
        traced(settings, "backendai-test", "1"),
        serve(app, HostPort("127.0.0.1", 0)) as address,
    ):
        yield f"http://{address}"
        await access_log.flush()


async def say_well(_request: web.Request) -> web.Response:
    return web.Response()


async def ask(url: str, **headers: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        await response.read()
        return response


async def test_a_request_goes_on_with_the_trace_that_it_brings(collector: Collector) -> None:
    lines: list[str] = []
    async with served(settings_of(collector), lines) as url:
        response = await ask(
            f"{url}/things/one?token=secret-of-a-query",
            traceparent=GIVEN,
            tracestate="vendor=secret-of-a-vendor",
            Authorization="secret-of-a-header",
        )
        told = await response.json()
        await ask(f"{url}/health")
        broken = await ask(f"{url}/things/breaks")
        assert broken.status == 500
    step, failed = collector.list("GET /things/{what}")
    assert (step.trace, step.parent, step.kind) == (TRACE, PARENT, "SERVER")
    request_id = response.headers["X-Request-Id"]
    assert step.facts == {
        "http.request.method": "GET",
        "http.route": "/things/{what}",
        "http.response.status_code": 200,
        "request_id": request_id,
    }
    assert told == {"trace": TRACE, "next": {"traceparent": f"00-{TRACE}-{step.id}-01"}}
    assert not step.is_failed
    assert failed.is_failed
    assert failed.parent == ""
    assert failed.facts["error.type"] == "500"
    assert len(collector.spans) == 2, "probes are no steps"
    assert b"secret" not in collector.raw
    logged = {line["request_id"]: line for line in map(json.loads, "".join(lines).splitlines())}
    assert logged[request_id]["trace_id"] == TRACE


@pytest.mark.parametrize(
    "given", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "0" * 4000]
)
async def test_what_is_no_trace_begins_one(collector: Collector, given: str) -> None:
    async with served(settings_of(collector), []) as url:
        await ask(f"{url}/things/one", traceparent=given)
    (step,) = collector.spans
    assert step.parent == ""
    assert step.trace != TRACE


async def test_nobody_outside_decides_what_is_collected(collector: Collector) -> None:
    async with served(settings_of(collector, sample=0), []) as url:
        wanted = await ask(f"{url}/things/one", traceparent=GIVEN)
        told = await wanted.json()
    assert told["trace"] is None, "no log line names what is not kept"
    assert told["next"]["traceparent"].startswith(f"00-{TRACE}-"), "who comes next decides alike"
    assert told["next"]["traceparent"].endswith("-00")
    async with served(settings_of(collector), []) as url:
        await ask(f"{url}/things/one", traceparent=GIVEN[:-1] + "0")
    (step,) = collector.spans
    assert (step.trace, step.parent) == (TRACE, PARENT)


async def test_a_collector_that_hangs_holds_nobody_up(collector: Collector) -> None:
    collector.go_on.clear()
    async with served(settings_of(collector), []) as url:
        await ask(f"{url}/things/one")
        await collector.exports(1)
        assert (await ask(f"{url}/things/one")).status == 200
    assert collector.waiting == 1, "nobody has waited for what is still being sent"


async def test_what_is_not_taken_is_logged_once(
    collector: Collector, logged: list[logging.LogRecord]
) -> None:
    collector.status = 400
    tracer = OtlpTracer(collector.endpoint, 1.0, "backendai-test", "1", batch_seconds=0.01)

    async def send(name: str) -> None:
        count = collector.count
        with tracer.open(name, SpanKind.INTERNAL, {}, "", begins_trace=True):
            pass
        await collector.exports(count + 1)

    for number in range(3):
        await send(f"lost {number}")
    collector.status = 200
    await send("kept")
    await send("kept too")
    await asyncio.to_thread(tracer.close)
    assert not [record for record in logged if record.name.startswith("opentelemetry")]
    # Threads of the tests before may still try to get rid of theirs.
    ours = [record for record in logged if fields_of(record).get("endpoint") == collector.endpoint]
    assert [record.getMessage() for record in ours] == ["tracing.not_taken", "tracing.taken_again"]
    assert "400" in fields_of(ours[0])["why"]
    assert [each.name for each in collector.spans] == ["kept", "kept too"]


async def test_a_collector_that_is_away_holds_nobody_up(logged: list[logging.LogRecord]) -> None:
    async with running_collector() as gone:
        settings = settings_of(gone)
    async with served(settings, []) as url:
        assert (await ask(f"{url}/things/one")).status == 200
    # What its thread still tries is nobody's business any more.
    assert [record.getMessage() for record in logged].count("tracing.left_unsent") == 1
