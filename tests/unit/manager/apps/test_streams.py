"""How streams end at clients that do not do their part."""

import asyncio
import base64
import os

from aiohttp import web
from aiohttp.test_utils import TestServer

from backendai.manager.apps.streams import ANSWER_SECONDS, MANAGER_ENDS, close

OPENING = (
    "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)


async def test_a_manager_that_ends_does_not_wait_for_who_does_not_answer() -> None:
    closed = asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await close(socket, MANAGER_ENDS)
        closed.set()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(OPENING.format(key=base64.b64encode(os.urandom(16)).decode()).encode())
        async with asyncio.timeout(ANSWER_SECONDS / 2):
            await closed.wait()
            told = await reader.read()
        writer.close()
    assert b"The manager is restarted." in told
