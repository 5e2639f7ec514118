"""Server-sent events as the official client reads them: the head of an answer, and its frames."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from aiohttp import web

from backendai.common.http import lasting

# Old clients cannot take a comment line without a colon.
HEARTBEAT: Final = b": heartbeat\n\n"
CLOSE: Final = b"event: server_close\ndata: {}\n\n"
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


@asynccontextmanager
async def open_stream(request: web.Request) -> AsyncIterator[web.StreamResponse]:
    """The answer that events are written to; its head is sent. It ends with its client, and with
    this server: clients ask again."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    with lasting(request), suppress(ConnectionError):
        yield response


def encode_event(name: str, data: Any, number: int | None = None) -> bytes:
    """One event; with a `number` a client can go on after it."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
