"""A tunnel: the bytes of one TCP connection as binary frames of a WebSocket, both ways. A side that
has finished is still sent to.

Neither side is read faster than the other one writes, so what is held in between is bounded.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from backendai.common.contracts.tunnel import ENDED, HALF_CLOSE

from .streams import APP_ENDED, CLIENT_GONE, End

CHUNK_BYTES: Final = 64 * 1024
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
# Clients that hear nothing for so long after a ping give up; those count what comes unasked too.
PONG_SECONDS: Final = 10.0
# How long an app may take what a client sent that is gone.
LINGER_SECONDS: Final = 5.0
_NOT_BYTES: Final = End(WSCloseCode.UNSUPPORTED_DATA, "Send the bytes as binary frames.")
_BEHIND_END: Final = End(WSCloseCode.PROTOCOL_ERROR, "Bytes came behind the end of the bytes.")


async def send_up(
    client: web.WebSocketResponse,
    app: asyncio.StreamWriter,
    note: Callable[[], None],
    has_finished: asyncio.Event,
) -> End:
    """From the client to the app, until either is gone; `note` is called for each message, and
    `has_finished` set when the client has nothing more to send."""
    try:
        async for message in client:
            if message.type is not WSMsgType.BINARY:
                return _NOT_BYTES
            if has_finished.is_set():
                return _BEHIND_END
            note()
            if message.data == ENDED:
                app.write_eof()
                has_finished.set()
            else:
                app.write(message.data)
            await _drain(app, client)
    except ConnectionError:
        return APP_ENDED
    return CLIENT_GONE


async def send_down(
    app: asyncio.StreamReader, client: web.WebSocketResponse, has_finished: asyncio.Event
) -> End:
    """From the app to the client, until either is gone, or both have nothing more to send."""
    try:
        while data := await app.read(CHUNK_BYTES):
            if client.closed or not await _send(client, data):
                return CLIENT_GONE
    except ConnectionError:
        return APP_ENDED
    if client.ws_protocol == HALF_CLOSE and await _send(client, ENDED):
        await has_finished.wait()
    return APP_ENDED


async def pass_on_rest(app: asyncio.StreamReader, to_app: asyncio.StreamWriter) -> None:
    """What a client sent before it went away is for the app all the same. What that still says is
    read: to hang up on it could take from the app what it has not read yet."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            to_app.write_eof()
            while await app.read(CHUNK_BYTES):
                pass


async def _drain(app: asyncio.StreamWriter, client: web.WebSocketResponse) -> None:
    """Wait until the app has taken enough; meanwhile pings of the client are not read, so it is
    told that somebody is here."""
    while True:
        try:
            async with asyncio.timeout(PONG_SECONDS):
                return await app.drain()
        except TimeoutError:
            await client.pong()


async def _send(client: web.WebSocketResponse, data: bytes) -> bool:
    """Whether the client was still there."""
    try:
        await client.send_bytes(data)
    except ConnectionError:
        return False
    return True
