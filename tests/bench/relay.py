"""G3e: raw TCP through an agent's relay beside nginx's stream proxy, to the same app.

Each is a process of its own. Figures: 256 MiB from the app on one connection, small round trips on
fifty, and the CPU that the one in the middle takes for either.
"""

import asyncio
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

from backendai.agent.ledger import Engine, Ledger
from backendai.agent.relay.keys import KeyRing
from backendai.agent.relay.listener import Relay, RelayAddress
from backendai.agent.threads import Threads
from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import KernelReport, KernelState, RelayKeys
from backendai.common.settings.checks import HostPort
from backendai.common.tickets import (
    OK_LINE,
    TICKET_LIFE_SECONDS,
    Refusal,
    Ticket,
    derive_relay_key,
    encode_hello,
    seal_ticket,
)
from tests.bench.harness import CpuMeter, Row, interleave
from tests.running.waiting import until

NEEDS_STACK: Final = False
LIMIT: Final = 1 / 0.9
ROUNDS: Final = 7
MIB: Final = 1 << 20
LARGE_MIB: Final = 256
CONNECTIONS: Final = 50
TRIPS: Final = 200
MESSAGE: Final = b"x" * 64
AGENT, KERNEL = "i-bench", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
KEY: Final = derive_relay_key(bytes(32), AGENT)
_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
_NGINX: Final = """
{load}
user root;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 1024; }}
stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{app}; }} }}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How to the app: the connected socket, and the processes that are in between."""

    dial: Callable[[], socket.socket]
    processes: tuple[psutil.Process, ...]


class App(asyncio.Protocol):
    """Sends 256 MiB to who says `D`, and what it gets to everybody else."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._left = 0
        self._is_paused = False

    def data_received(self, data: bytes) -> None:
        if data[:1] == b"D":
            self._left = LARGE_MIB
            self._send()
        else:
            self.transport.write(data)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        while self._left and not self._is_paused:
            self._left -= 1
            self.transport.write(_BLOCK)


_BLOCK: Final = bytes(MIB)


def measure() -> list[Row]:
    with ExitStack() as stack:
        app = stack.enter_context(running(serve_app))
        ours = stack.enter_context(relay_to(app.port))
        nginx = stack.enter_context(nginx_to(app.port))
        return [
            *_compare("256 MiB from an app", download, ours, nginx, LARGE_MIB, "MiB"),
            *_compare(
                f"round trips, {CONNECTIONS} connections",
                make_trips,
                ours,
                nginx,
                CONNECTIONS * TRIPS,
                "trip",
            ),
            *_compare("ticket, connection and 64 bytes", connect, ours, nginx, 200, "connection"),
        ]


def download(way: Way) -> float:
    with way.dial() as connection:
        buffer, left, begun = bytearray(MIB), LARGE_MIB * MIB, time.perf_counter()
        connection.sendall(b"D")
        while left:
            left -= connection.recv_into(buffer)
        return time.perf_counter() - begun


def make_trips(way: Way) -> float:
    with ExitStack() as stack:
        pairs = [stack.enter_context(way.dial()) for _ in range(CONNECTIONS)]
        begun = time.perf_counter()
        for _ in range(TRIPS):
            for one in pairs:
                one.sendall(MESSAGE)
            for one in pairs:
                one.recv(len(MESSAGE), socket.MSG_WAITALL)
        return time.perf_counter() - begun


def connect(way: Way) -> float:
    begun = time.perf_counter()
    for _ in range(200):
        with way.dial() as connection:
            connection.sendall(MESSAGE)
            connection.recv(len(MESSAGE), socket.MSG_WAITALL)
    return time.perf_counter() - begun


def serve_app(link: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(App, "127.0.0.1", 0)
        link.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_relay(link: Connection, app_port: int) -> None:
    async def open_door(ticket: Ticket) -> "socket.socket | Refusal":
        door = socket.socket()
        door.setblocking(False)
        await asyncio.get_running_loop().sock_connect(door, ("127.0.0.1", app_port))
        return door

    async def main() -> None:
        ledger = Ledger()
        ledger.set_engine(Engine(is_reachable=True))
        ledger.put(
            KernelReport(kernel_id=KERNEL, session_id="s", generation=1, state=KernelState.RUNNING)
        )
        with tempfile.TemporaryDirectory() as folder:
            keys = KeyRing(Path(folder) / "relay.keys", Threads("keys", 1))
            await keys.take(RelayKeys(keys=[KEY]))
        where = RelayAddress(HostPort("127.0.0.1", 0))
        relay = Relay(where, AGENT, keys, ledger, open_door, SystemClock())
        await relay.start()
        link.send(int(relay.address.rpartition(":")[2]))
        await relay.run()

    asyncio.run(main())


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    process: psutil.Process


@contextmanager
def running(serve: Callable[..., None], *args: object) -> Iterator[Running]:
    """`serve` in a process of its own, which tells its port."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(far, *args), daemon=True
    )
    process.start()
    try:
        yield Running(near.recv(), psutil.Process(process.pid))
    finally:
        process.terminate()
        process.join()


@contextmanager
def relay_to(app_port: int) -> Iterator[Way]:
    with running(serve_relay, app_port) as relay:
        yield Way(lambda: _dial_relay(relay.port), (relay.process,))


def _dial_relay(port: int) -> socket.socket:
    ticket = Ticket(
        agent=AGENT,
        kernel=KERNEL,
        generation=1,
        app="app",
        port=80,
        expires=int(time.time()) + TICKET_LIFE_SECONDS,
    )
    connection = _dial(port)
    connection.sendall(encode_hello(seal_ticket(ticket, KEY)))
    assert connection.recv(len(OK_LINE), socket.MSG_WAITALL) == OK_LINE
    return connection


@contextmanager
def nginx_to(app_port: int) -> Iterator[Way]:
    program = shutil.which("nginx")
    assert program is not None, "needs nginx: apt install nginx-core libnginx-mod-stream"
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        load = f"load_module {_MODULE};" if _MODULE.exists() else ""
        config = Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(load=load, home=folder, port=port, app=app_port))
        command = [program, "-c", str(config), "-p", folder, "-g", "daemon off;"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: _dial(port).close() is None, "nginx")
                master = psutil.Process(process.pid)
                yield Way(lambda: _dial(port), (master, *master.children()))
            finally:
                process.terminate()


def _dial(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _compare(
    what: str, use: Callable[[Way], float], ours: Way, nginx: Way, count: int, unit: str
) -> Iterator[Row]:
    meter = CpuMeter({"ours": ours.processes, "nginx": nginx.processes})
    rounds = interleave(lambda: use(ours), lambda: use(nginx), ROUNDS)
    used = meter.milliseconds_per(count * (ROUNDS + 1))
    limit = None if unit == "connection" else LIMIT
    yield rounds.row("G3e", f"{what} beside nginx stream, time", limit)
    shown = {name: f"{1000 * value:.1f} us" for name, value in used.items()}
    ratio = used["ours"] / used["nginx"]
    yield Row("G3e", f"CPU for each {unit}", ratio, None, "x", shown["ours"], shown["nginx"])
