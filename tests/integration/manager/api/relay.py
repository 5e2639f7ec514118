"""A relay that opens with tickets as a real one does, to apps of the test."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from backendai.common.tickets import (
    OK_LINE,
    Refusal,
    RelayCode,
    Ticket,
    TicketRefused,
    decode_hello,
    encode_refusal,
    open_ticket,
)


@dataclass
class ScriptedRelay:
    """Lets to the ports of `apps` whoever has a ticket of `keys`; of other apps it says that they
    do not listen. `opened` are the tickets, `live` the connections that are open."""

    keys: list[bytes] = field(default_factory=list)
    apps: dict[str, int] = field(default_factory=dict)
    opened: list[Ticket] = field(default_factory=list)
    live: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> str:
        """Where it listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        for writer in tuple(self.live):
            writer.transport.abort()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.live.add(writer)
        try:
            ticket = self._admit((await reader.readline())[:-1])
            self.opened.append(ticket)
            if ticket.app not in self.apps:
                writer.write(encode_refusal(Refusal(RelayCode.REFUSED, "nobody listens")))
                return
            writer.write(OK_LINE)
            there = await asyncio.open_connection("127.0.0.1", self.apps[ticket.app])
            try:
                await _splice((reader, writer), there)
            finally:
                there[1].close()
        except TicketRefused as fault:
            writer.write(encode_refusal(Refusal(RelayCode.DENIED, fault.detail)))
        finally:
            self.live.discard(writer)
            writer.close()

    def _admit(self, line: bytes) -> Ticket:
        return open_ticket(decode_hello(line), self.keys, time.time())


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _splice(here: Ends, there: Ends) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_copy(here[0], there[1]))
        tasks.create_task(_copy(there[0], here[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of an app that is `serve`."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of an app that repeats what it is told until it is told `bye`, and nothing else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(65536)) not in (b"", b"bye"):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with listening(serve) as port:
        yield port


@asynccontextmanager
async def shell(asked: list[bytes], views: list[dict[str, str]]) -> AsyncIterator[int]:
    """The port of a terminal's app that prints in capitals what is typed; `exit` ends it."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        views.append(dict(request.query))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b'\x01{"event":"opened"}')
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            asked.append(message.data)
            if message.data == b"\x00exit\n":
                await socket.send_bytes(b'\x01{"event":"exited","exit_code":0}')
            elif message.data[:1] == b"\x00":
                await socket.send_bytes(b"\x00" + message.data[1:].upper())
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()
