"""Calls whose connection is cut while they wait: asked again, or not, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
import pytest

from backendai.common.faults import AgentConnectionLost, AgentTimeout
from backendai.common.rpc.call import Call
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import generate_keypair
from backendai.common.rpc.repeat import ask_repeatedly
from backendai.common.rpc.server import RpcServer


class Word(msgspec.Struct, frozen=True):
    text: str


READ = Call("read", Word, Word, idempotent=True, deadline_seconds=20.0)
ADD = Call("add", Word, Word)
SERVER, CLIENT = generate_keypair(), generate_keypair()


class Cable:
    """TCP to a server, through here; `cut` breaks it in the midst of what goes on."""

    def __init__(self, address: str) -> None:
        split = urlsplit(address)
        self._target = (split.hostname, split.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def plug(self) -> str:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"tcp://{host}:{port}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def unplug(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        both = {writer, far_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pour(reader, far_writer))
                ways.create_task(self._pour(far_reader, writer))
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # It was cut.
        writer.transport.abort()


class Bench:
    """A server that keeps its first caller waiting, behind a cable."""

    cable: Cable
    peer: RpcPeer

    def __init__(self) -> None:
        self.server = RpcServer("tcp://127.0.0.1:0", SERVER, {CLIENT.public}, [READ, ADD])
        self.server.on(READ, self._answer)
        self.server.on(ADD, self._answer)
        self.asked: list[str] = []
        self.is_asked = asyncio.Event()

    async def ask(self, call: Call[Word, Word], seconds: float | None = None) -> Word:
        return await ask_repeatedly(
            call, seconds, lambda left: self.peer.ask(call, Word("x"), left)
        )

    async def _answer(self, request: Word) -> Word:
        self.asked.append(request.text)
        self.is_asked.set()
        if len(self.asked) == 1:
            await asyncio.Event().wait()
        return Word(f"answer {len(self.asked)}")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.server as server:
        bench.cable = Cable(server.address)
        async with RpcPeer(await bench.cable.plug(), SERVER.public, CLIENT) as bench.peer:
            yield bench
        await bench.cable.unplug()


async def test_an_idempotent_call_is_asked_again_when_its_connection_breaks(bench: Bench) -> None:
    call = asyncio.create_task(bench.ask(READ))
    await bench.is_asked.wait()
    bench.cable.cut()
    assert await call == Word("answer 2")
    assert bench.asked == ["x", "x"]


async def test_another_call_is_asked_once(bench: Bench) -> None:
    call = asyncio.create_task(bench.ask(ADD))
    await bench.is_asked.wait()
    bench.cable.cut()
    with pytest.raises(AgentConnectionLost):
        await call
    assert bench.asked == ["x"]


async def test_the_time_of_a_call_is_not_extended(bench: Bench) -> None:
    started = asyncio.get_running_loop().time()
    call = asyncio.create_task(bench.ask(READ, 1.0))
    await bench.is_asked.wait()
    await bench.cable.unplug()
    with pytest.raises(AgentTimeout):
        await call
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_late_reply_is_not_asked_for_again(bench: Bench) -> None:
    with pytest.raises(AgentTimeout):
        await bench.ask(READ, 0.3)
    assert bench.asked == ["x"]
