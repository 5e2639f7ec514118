"""WebSockets below /func/stream: frames passed both ways until either side closes."""

import asyncio
from typing import Any, Final

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from backendai.common.http import LAST_ANSWER_SECONDS, close_socket, lasting

from .upstream import FRAME_BYTES_MAX, Outgoing, Upstream

_PING_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0
Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def join(request: web.Request, upstream: Upstream, outgoing: Outgoing) -> web.StreamResponse:
    """Connects to the manager first, so that its refusal is an answer like any other."""
    text = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = [word.strip() for word in text.split(",") if word.strip()]
    inner = await upstream.connect(outgoing, protocols)
    try:
        outer = web.WebSocketResponse(
            protocols=[inner.protocol] if inner.protocol else (),
            heartbeat=_PING_SECONDS,
            max_msg_size=FRAME_BYTES_MAX,
            timeout=_CLOSE_SECONDS,
        )
        await outer.prepare(request)
        with lasting(request) as stay:
            await _pump_both(outer, inner)
        if stay.is_over:
            code = WSCloseCode.SERVICE_RESTART
            await close_socket(outer, code, answer_seconds=LAST_ANSWER_SECONDS)
        return outer
    finally:
        await inner.close()


async def _pump_both(outer: web.WebSocketResponse, inner: aiohttp.ClientWebSocketResponse) -> None:
    """Until one side has closed; the other is closed with the same code."""
    ways = {
        asyncio.create_task(_pump(outer, inner), name="socket.up"),
        asyncio.create_task(_pump(inner, outer), name="socket.down"),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    await outer.close(code=_code(inner.close_code))
    await inner.close(code=_code(outer.close_code))


async def _pump(source: Any, sink: Any) -> None:
    try:
        async for message in source:
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
    except (ConnectionError, aiohttp.ClientError, RuntimeError):
        # The other side is gone; both are closed next.
        return


def _code(given: int | None) -> int:
    """A code that may be sent: some only say that none came."""
    if given is None or given in (1005, 1006, 1015):
        return int(WSCloseCode.GOING_AWAY)
    return given
