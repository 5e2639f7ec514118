"""The relay over real sockets, with a little server in place of a container."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backendai.agent.ledger import Engine, Ledger
from backendai.agent.relay import caller, listener
from backendai.agent.relay.keys import KeyRing
from backendai.agent.relay.listener import Relay, RelayAddress
from backendai.agent.threads import Threads
from backendai.common.clock import FakeClock
from backendai.common.contracts.agent import KernelReport, KernelState, RelayKeys
from backendai.common.relay import (
    AppNotListening,
    RelayBusy,
    RelayDenied,
    RelayFailed,
    RelayKernelGone,
    open_relay,
)
from backendai.common.settings.checks import HostPort
from backendai.common.tickets import (
    LINE_BYTES_MAX,
    Refusal,
    RelayCode,
    Ticket,
    derive_relay_key,
    encode_hello,
    seal_ticket,
)

AGENT = "i-here"
KEY = derive_relay_key(bytes(32), AGENT)
KERNEL = "7f9c24e8-3b12-4fef-91e0-3a7e0d1c2b3a"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A relay, one running kernel, and the app in it."""

    relay: Relay
    ledger: Ledger
    clock: FakeClock
    door: "Callable[[], Awaitable[socket.socket | Refusal]]"
    asked: list[Ticket] = field(default_factory=list)

    def ticket(self, kernel: str = KERNEL, generation: int = 1, life: float = 30) -> str:
        expires = int(self.clock.now().timestamp() + life)
        ticket = Ticket(
            agent=AGENT, kernel=kernel, generation=generation, app="x", port=80, expires=expires
        )
        return seal_ticket(ticket, KEY)

    async def open(self, generation: int = 1) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await open_relay(self.relay.address, self.ticket(generation=generation))

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.relay.address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def put(self, state: KernelState, generation: int = 1) -> None:
        self.ledger.put(
            KernelReport(kernel_id=KERNEL, session_id="s", generation=generation, state=state)
        )

    def traffic(self) -> tuple[int, int]:
        found = self.relay.traffic_of((KERNEL, 1))
        return found.received_bytes, found.sent_bytes


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"<end>")


@contextlib.asynccontextmanager
async def site_with(folder: Path, talk: Talk = echo) -> AsyncIterator[Site]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    path = folder / "app.sock"
    server = await asyncio.start_unix_server(serve, path)

    async def connect() -> "socket.socket | Refusal":
        door = socket.socket(socket.AF_UNIX)
        door.setblocking(False)
        await asyncio.get_running_loop().sock_connect(door, str(path))
        return door

    async def open_door(ticket: Ticket) -> "socket.socket | Refusal":
        site.asked.append(ticket)
        return await site.door()

    ledger, clock, threads = Ledger(), FakeClock(), Threads("test", 1)
    keys = KeyRing(folder / "relay.keys", threads)
    await keys.take(RelayKeys(keys=[KEY]))
    where = RelayAddress(HostPort("127.0.0.1", 0))
    relay = Relay(where, AGENT, keys, ledger, open_door, clock)
    site = Site(relay, ledger, clock, connect)
    ledger.set_engine(Engine(is_reachable=True))
    site.put(KernelState.RUNNING)
    await relay.start()
    loops = asyncio.create_task(relay.run())
    try:
        yield site
    finally:
        loops.cancel()
        await relay.close()
        server.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_with(tmp_path) as made:
        yield made


async def test_bytes_go_both_ways_and_a_half_close_is_passed_on(site: Site) -> None:
    reader, writer = await site.open()
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.write(b"more")
    writer.write_eof()
    assert await reader.read() == b"more<end>"
    assert site.asked[0].app == "x"
    site.relay.sweep()
    assert site.traffic() == (9, 14)


async def test_bytes_right_behind_the_ticket_reach_the_app(site: Site) -> None:
    reader, writer = await site.raw()
    writer.write(encode_hello(site.ticket()) + b"early")
    writer.write_eof()
    assert await reader.read() == b"BAI1 ok\nearly<end>"


async def test_a_ticket_may_come_byte_by_byte(site: Site) -> None:
    reader, writer = await site.raw()
    for byte in encode_hello(site.ticket()):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert await reader.readline() == b"BAI1 ok\n"


async def test_the_end_of_the_app_is_the_clients_too(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async with site_with(tmp_path, talk) as site:
        reader, writer = await site.open()
        assert await reader.read() == b"bye"
        writer.close()
        await _until_none(site)


async def test_much_data_arrives_whole_and_is_not_kept_in_memory(tmp_path: Path) -> None:
    """A client that does not read stops the app, not only when memory is full."""
    sent, block = 0, bytes(65536)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(1024):
            writer.write(block)
            await writer.drain()
            sent += len(block)

    async with site_with(tmp_path, talk) as site:
        reader, writer = await site.open()
        before = -1
        while before != sent:
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert sent < 16 * 2**20
        total = 0
        while data := await reader.read(2**20):
            total += len(data)
        assert total == 64 * 2**20
        writer.close()


async def test_a_reset_of_either_end_ends_the_other(site: Site) -> None:
    _, writer = await site.open()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await _until_none(site)


@pytest.mark.parametrize("state", [KernelState.EXITED, KernelState.STOPPING, KernelState.GONE])
async def test_the_end_of_a_kernel_closes_its_connections_at_once(
    site: Site, state: KernelState
) -> None:
    reader, _ = await site.open()
    site.put(state)
    async with asyncio.timeout(3):
        assert await reader.read() == b""
    with pytest.raises(RelayKernelGone):
        await site.open()


async def test_a_newer_generation_closes_those_of_the_older(site: Site) -> None:
    reader, _ = await site.open()
    site.put(KernelState.RUNNING, generation=2)
    async with asyncio.timeout(3):
        assert await reader.read() == b""
    with pytest.raises(RelayKernelGone):
        await site.open()
    await site.open(generation=2)


async def test_not_knowing_closes_nothing(site: Site) -> None:
    reader, writer = await site.open()
    site.put(KernelState.UNKNOWN)
    site.ledger.set_engine(Engine(is_reachable=False))
    site.relay.sweep()
    writer.write(b"still")
    assert await reader.readexactly(5) == b"still"
    with pytest.raises(RelayBusy):
        await site.open()


async def test_an_hour_without_a_byte_ends_it(site: Site) -> None:
    reader, writer = await site.open()
    site.clock.shift(3599)
    site.relay.sweep()
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    site.clock.shift(3599)
    site.relay.sweep()
    assert site.relay.traffic_of((KERNEL, 1)).used_at == site.clock.now().timestamp()
    site.clock.shift(3599)
    site.relay.sweep()
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    site.relay.sweep()
    site.clock.shift(3600)
    site.relay.sweep()
    async with asyncio.timeout(3):
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (RelayCode.REFUSED, AppNotListening),
        (RelayCode.BUSY, RelayBusy),
        (RelayCode.FAILED, RelayFailed),
    ],
)
async def test_a_closed_door_is_told(site: Site, code: RelayCode, fault: type[Exception]) -> None:
    async def closed() -> Refusal:
        return Refusal(code, "so it is")

    site.door = closed
    with pytest.raises(fault, match="so it is"):
        await site.open()
    assert site.traffic() == (0, 0)


async def test_a_fault_of_ours_is_told_and_ends_nothing(site: Site) -> None:
    async def broken() -> Refusal:
        raise RuntimeError("secret words")

    good, site.door = site.door, broken
    with pytest.raises(RelayFailed) as caught:
        await site.open()
    assert "secret" not in str(caught.value)
    site.door = good
    await site.open()


async def test_wrong_tickets_open_nothing(site: Site) -> None:
    for text in ("x.y", site.ticket(life=0), site.ticket()[:-1] + "!", "a" * 700):
        with pytest.raises(RelayDenied):
            await open_relay(site.relay.address, text)
    assert site.asked == []


@pytest.mark.parametrize(
    "said",
    [
        b"\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\n",
        b"BAI1 " + b"x" * LINE_BYTES_MAX,
        b"x" * 300_000,
        b"BAI1  \n",
        b"BAI2 x\n",
    ],
)
async def test_other_words_are_denied_in_one_line(site: Site, said: bytes) -> None:
    reader, writer = await site.raw()
    writer.write(said)
    line = await reader.readline()
    assert line.startswith(b"BAI1 denied")
    assert await reader.read() == b""
    assert site.asked == []


async def test_one_who_says_nothing_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "HELLO_SECONDS", 0.02)
    reader, writer = await site.raw()
    writer.write(b"BAI1 ")
    assert (await reader.read()).startswith(b"BAI1 denied")


async def test_strangers_do_not_keep_out_who_has_a_ticket(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "WAITING_MAX", 10)
    strangers = [await site.raw() for _ in range(30)]
    reader, writer = await site.open()
    writer.write(b"in")
    assert await reader.readexactly(2) == b"in"
    for stranger, _ in strangers[:20]:
        assert await stranger.read() == b""


async def test_a_kernel_and_a_relay_have_so_many_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PER_KERNEL_MAX", 2)
    pairs = [await site.open() for _ in range(2)]
    with pytest.raises(RelayBusy, match="2 connections"):
        await site.open()
    pairs[0][1].close()
    await _until(lambda: site.relay.count() == 1)
    await site.open()
    monkeypatch.setattr(listener, "PER_KERNEL_MAX", 99)
    monkeypatch.setattr(listener, "CONNECTIONS_MAX", 2)
    with pytest.raises(RelayBusy, match="as many"):
        await site.open()


async def test_a_client_that_leaves_while_the_door_opens_leaves_nothing(site: Site) -> None:
    gate, good = asyncio.Event(), site.door

    async def slow() -> "socket.socket | Refusal":
        await gate.wait()
        return await good()

    site.door = slow
    _, writer = await site.raw()
    writer.write(encode_hello(site.ticket()))
    await _until(lambda: bool(site.asked))
    writer.transport.abort()
    gate.set()
    await _until_none(site)


async def test_a_kernel_that_ends_while_the_door_opens_is_closed(site: Site) -> None:
    good = site.door

    async def late() -> "socket.socket | Refusal":
        door = await good()
        site.put(KernelState.EXITED)
        return door

    site.door = late
    with pytest.raises(RelayKernelGone):
        await site.open()
    await _until_none(site)


async def test_the_end_of_the_relay_closes_all(tmp_path: Path) -> None:
    async with site_with(tmp_path) as site:
        reader, _ = await site.open()
        stranger, _ = await site.raw()
        await asyncio.sleep(0)
    assert await reader.read() == b""
    assert await stranger.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await site.raw()


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


async def _until_none(site: Site) -> None:
    await _until(lambda: site.relay.count() == 0)
