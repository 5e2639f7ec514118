"""A tunnel: the bytes of one TCP connection as binary frames of a WebSocket, both ways.

Neither side is read faster than the other one writes, so what is held in between is bounded.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from .streams import APP_ENDED, CLIENT_GONE, End

CHUNK_BYTES: Final = 64 * 1024
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
# Clients that hear nothing for so long after a ping give up; those count what comes unasked too.
PONG_SECONDS: Final = 10.0
_NOT_BYTES: Final = End(WSCloseCode.UNSUPPORTED_DATA, "Send the bytes as binary frames.")


async def send_up(
    client: web.WebSocketResponse, app: asyncio.StreamWriter, note: Callable[[], None]
) -> End:
    """From the client to the app, until either is gone; `note` is called for each message."""
    try:
        async for message in client:
            if message.type is not WSMsgType.BINARY:
                return _NOT_BYTES
            note()
            app.write(message.data)
            await _drain(app, client)
    except ConnectionError:
        return APP_ENDED
    return CLIENT_GONE


async def send_down(app: asyncio.StreamReader, client: web.WebSocketResponse) -> End:
    """From the app to the client, until either is gone."""
    try:
        while data := await app.read(CHUNK_BYTES):
            if client.closed or not await _send(client, data):
                return CLIENT_GONE
    except ConnectionError:
        pass
    return APP_ENDED


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
