"""Local ports that lead to apps: when a connection of theirs ends."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backendai.client.apps.tunnel import Tunnel
from backendai.client.transport import Closing
from backendai.common.contracts.tunnel import ENDED

SECONDS_MAX = 10.0
# Closed at once, with a reset in the place of an end.
AT_ONCE = struct.pack("ii", 1, 0)


class QuietPipe:
    """To an app that takes everything, and says nothing until it is told to."""

    closing = Closing(1000)

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.has_ended = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.sent.put_nowait(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.said.get():
            yield data
        yield ENDED


@pytest.fixture
async def pipe() -> QuietPipe:
    return QuietPipe()


@pytest.fixture
async def tunnel(pipe: QuietPipe) -> AsyncIterator[Tunnel]:
    @asynccontextmanager
    async def open_pipe() -> AsyncIterator[QuietPipe]:
        try:
            yield pipe
        finally:
            pipe.has_ended.set()

    async with Tunnel(open_pipe) as tunnel:
        await tunnel.listen("127.0.0.1", 0)
        yield tunnel


async def test_a_program_that_breaks_off_is_not_waited_for(tunnel: Tunnel, pipe: QuietPipe) -> None:
    """The app may not say anything for days."""
    _reader, writer = await asyncio.open_connection(*tunnel.address)
    writer.write(b"hello")
    async with asyncio.timeout(SECONDS_MAX):
        assert await pipe.sent.get() == b"hello"
        near = writer.get_extra_info("socket")
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()
        await pipe.has_ended.wait()
    assert pipe.sent.empty()


async def test_a_program_that_has_said_all_gets_the_answer(tunnel: Tunnel, pipe: QuietPipe) -> None:
    reader, writer = await asyncio.open_connection(*tunnel.address)
    writer.write(b"what?")
    writer.write_eof()
    async with asyncio.timeout(SECONDS_MAX):
        assert await pipe.sent.get() == b"what?"
        assert await pipe.sent.get() == ENDED
        pipe.said.put_nowait(b"this")
        pipe.said.put_nowait(b"")
        assert await reader.read() == b"this"
        await pipe.has_ended.wait()
    writer.close()
