"""The app proxy beside nginx, and beside JupyterHub's configurable-http-proxy where npm has it.

All lead to one origin. Ours checks a permit and greets a relay; the others do neither. CPU of each
is its own process's alone.
"""

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import psutil
import uvloop

from backendai.halfstack.stores import run_stores
from tests.bench.harness import CpuMeter, Row, show
from tests.bench.origin import LARGE_BYTES
from tests.integration.wsproxy.cluster import Cluster, add_node, migrate
from tests.running.fixtures import find_port
from tests.running.waiting import until
from tests.running.wsproxy import Loop, RelayStandIn, ScriptedApp, ask, running_wsproxy

NEEDS_STACK: Final = False
ROUNDS: Final = 5
REQUESTS: Final = 8000
ROUND_TRIPS: Final = 20_000
SOCKETS: Final = 50
MIB: Final = 1 << 20
_WEBSOCKET: Final = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n"
# A short text frame as browsers send it.
_FRAME: Final = b"\x81\x85\x01\x02\x03\x04iglmn"
_NGINX: Final = """
{user}worker_processes 1;
{modules}
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 1000000; }}
    map $http_upgrade $connection_kind {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_kind;
        }}
    }}
}}
stream {{ server {{ listen 127.0.0.1:{stream}; proxy_pass 127.0.0.1:{origin}; }} }}
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """`stream` is its port of bare bytes; `cookie` a whole header line."""

    name: str
    port: int
    processes: tuple[psutil.Process, ...]
    stream: int = 0
    cookie: str = ""

    def request(self, path: str, more: str = "") -> bytes:
        host = f"Host: 127.0.0.1:{self.port}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        return f"GET {path} HTTP/1.1\r\n{host}{self.cookie}{more}\r\n".encode()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation, in seconds."""

    elapsed: float
    cpu: float
    slow: float = 0.0


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        place = Path(home)
        place.chmod(0o755)
        origin = stack.enter_context(running_origin())
        proxies = [
            stack.enter_context(running_ours(place, origin)),
            stack.enter_context(running_nginx(place / "nginx", origin)),
        ]
        if (older := stack.enter_context(running_chp(place / "chp", origin))) is not None:
            proxies.append(older)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measure(proxies))


async def _measure(proxies: list[Proxy]) -> list[Row]:
    rows = []
    for width in (16, 64):
        costs = await _rounds(proxies, lambda proxy, width=width: _ask_small(proxy, width))
        rows += _rate_rows(f"small GET, {width} connections", costs)
    rows += _large_rows(await _rounds(proxies[:2], _fetch_large))
    rows += _echo_rows("G3d", "WebSocket echo", await _rounds(proxies[:2], _echo_frames))
    rows += _echo_rows("G3e", "bare TCP echo", await _rounds(proxies[:2], _echo_bytes))
    return rows


async def _rounds(
    proxies: list[Proxy], sample: Callable[[Proxy], Awaitable[tuple[float, int, float]]]
) -> Mapping[str, list[Cost]]:
    """`sample` gives seconds, operations, and the slowest hundredth's time. One round warms."""
    taken: dict[str, list[Cost]] = {proxy.name: [] for proxy in proxies}
    for number in range(ROUNDS + 1):
        for proxy in proxies if number % 2 else reversed(proxies):
            meter = CpuMeter({"it": proxy.processes})
            elapsed, count, slow = await sample(proxy)
            cpu = meter.milliseconds_per(count)["it"] / 1e3
            if number:
                taken[proxy.name].append(Cost(elapsed / count, cpu, slow))
    return taken


def _rate_rows(what: str, costs: Mapping[str, list[Cost]]) -> list[Row]:
    rows = [
        _row("G3a", f"{what}, rate", costs, "nginx", lambda cost: 1 / cost.elapsed, 0.5, True),
        _row("G3a", f"{what}, CPU", costs, "nginx", lambda cost: cost.cpu, 2.0),
        _row("G3a", f"{what}, p99", costs, "nginx", lambda cost: cost.slow, 2.0),
    ]
    if "chp" in costs:
        rows.append(
            _row("G3b", f"{what}, rate", costs, "chp", lambda cost: 1 / cost.elapsed, 6.0, True)
        )
    return rows


def _large_rows(costs: Mapping[str, list[Cost]]) -> list[Row]:
    what = f"download of {LARGE_BYTES // MIB} MiB"
    return [
        _row("G3c", f"{what}, rate", costs, "nginx", lambda cost: 1 / cost.elapsed, 0.9, True),
        _row("G3c", f"{what}, CPU", costs, "nginx", lambda cost: cost.cpu, 1.3),
    ]


def _echo_rows(goal: str, what: str, costs: Mapping[str, list[Cost]]) -> list[Row]:
    many = f"{what}, {SOCKETS} connections"
    return [
        _row(goal, f"{many}, rate", costs, "nginx", lambda cost: 1 / cost.elapsed, 0.9, True),
        _row(goal, f"{many}, CPU", costs, "nginx", lambda cost: cost.cpu, 1.4),
        _row(goal, f"{many}, p99", costs, "nginx", lambda cost: cost.slow, 1.3),
    ]


def _row(
    goal: str,
    what: str,
    costs: Mapping[str, list[Cost]],
    peer: str,
    value: Callable[[Cost], float],
    limit: float,
    is_rate: bool = False,
) -> Row:
    ours, theirs = ([value(cost) for cost in costs[name]] for name in ("ours", peer))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    shown = [
        f"{statistics.median(side):,.0f}/s" if is_rate else show(side) for side in (ours, theirs)
    ]
    return Row(goal, f"{what} beside {peer}", ratio, limit, "x", *shown, is_floor=is_rate)


# Load


class _Talker(asyncio.Protocol):
    """Says one thing again as soon as `size` bytes of answer are there."""

    def __init__(self, first: bytes, again: bytes, size: int, times: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.delays: list[float] = []
        self._first, self._again, self._size, self._times = first, again, size, times
        self._received = 0
        self._is_open = not first
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_open:
            self._say()
        else:
            self._transport.write(self._first)

    def _say(self) -> None:
        self._said_at = time.perf_counter()
        self._transport.write(self._again)

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._open(data)
            return
        self._received += len(data)
        if not self._size:
            self._size = self._received
        if self._received < self._size:
            return
        self._received = 0
        self.delays.append(time.perf_counter() - self._said_at)
        if len(self.delays) < self._times:
            self._say()
        else:
            self._transport.close()

    def _open(self, data: bytes) -> None:
        """After the head of the first answer; its body tells how long the others are."""
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        assert self._head[9:12] in (b"200", b"101"), self._head
        self._is_open = True
        if not self._size:
            self._size = len(self._head)
        self._say()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)


async def _talk(
    port: int, width: int, total: int, first: bytes, again: bytes, size: int
) -> tuple[float, int, float]:
    loop = asyncio.get_running_loop()
    times = total // width
    started = time.perf_counter()
    talkers = [
        (
            await loop.create_connection(
                lambda: _Talker(first, again, size, times), "127.0.0.1", port
            )
        )[1]
        for _ in range(width)
    ]
    for talker in talkers:
        await talker.done
    elapsed = time.perf_counter() - started
    delays = sorted(delay for talker in talkers for delay in talker.delays)
    assert len(delays) == times * width, (len(delays), port)
    return elapsed, len(delays), delays[len(delays) * 99 // 100]


async def _ask_small(proxy: Proxy, width: int) -> tuple[float, int, float]:
    request = proxy.request("/")
    return await _talk(proxy.port, width, REQUESTS, request, request, 0)


async def _echo_frames(proxy: Proxy) -> tuple[float, int, float]:
    first = proxy.request("/ws", _WEBSOCKET)
    return await _talk(proxy.port, SOCKETS, ROUND_TRIPS, first, _FRAME, len(_FRAME))


async def _echo_bytes(proxy: Proxy) -> tuple[float, int, float]:
    return await _talk(proxy.stream, SOCKETS, ROUND_TRIPS, b"", _FRAME, len(_FRAME))


async def _fetch_large(proxy: Proxy) -> tuple[float, int, float]:
    command = ["curl", "-sf", "-o", "/dev/null", "-w", "%{time_total}"]
    if proxy.cookie:
        command += ["-H", proxy.cookie.strip()]
    command.append(f"http://127.0.0.1:{proxy.port}/large")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    return float(said), LARGE_BYTES // MIB, 0.0


# Proxies


@contextmanager
def running_origin() -> Iterator[int]:
    port = find_port()
    with subprocess.Popen([sys.executable, "-m", "tests.bench.origin", str(port)]) as process:
        try:
            until(lambda: ask(port, "GET", "/").status == 200, "the origin")
            yield port
        finally:
            process.terminate()


@contextmanager
def running_ours(home: Path, origin: int) -> Iterator[Proxy]:
    loop = Loop()
    stores = run_stores(home / "stores")
    addresses = loop.run(stores.__aenter__())
    try:
        migrate(loop, addresses.postgres)
        add_node(loop, addresses.postgres, f"127.0.0.1:{origin}")
        behind = Cluster(addresses.postgres, loop, RelayStandIn(loop), ScriptedApp(loop))
        with running_wsproxy(home / "ours", addresses.postgres) as daemon:
            assert daemon.process is not None
            browser = daemon.open(behind.run_kernel())
            bare = behind.run_kernel("tcp", "sshd")
            url = daemon.auth(bare)["redirect_url"]
            stream = daemon.ask("GET", url[url.index("/setup") :]).json()["port"]
            process = psutil.Process(daemon.process.pid)
            cookie = f"Cookie: {browser.cookie}\r\n"
            yield Proxy("ours", browser.port, (process,), stream, cookie)
    finally:
        loop.run(stores.__aexit__(None, None, None))
        loop.stop()


@contextmanager
def running_nginx(home: Path, origin: int) -> Iterator[Proxy]:
    """One worker. Its module for bare bytes is loaded where it is not built in."""
    program = shutil.which("nginx")
    assert program is not None, "needs nginx: apt install nginx-core libnginx-mod-stream"
    home.mkdir()
    home.chmod(0o777)
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    port, stream = find_port(), find_port()
    text = _NGINX.format(
        user="user root;\n" if psutil.Process().uids().real == 0 else "",
        modules=f"load_module {module};" if module.exists() else "",
        home=home,
        port=port,
        stream=stream,
        origin=origin,
    )
    config = home / "nginx.conf"
    config.write_text(text)
    command = [program, "-c", str(config), "-p", str(home), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: ask(port, "GET", "/").status == 200, "nginx")
            master = psutil.Process(process.pid)
            yield Proxy("nginx", port, (master, *master.children()), stream)
        finally:
            process.terminate()


@contextmanager
def running_chp(home: Path, origin: int) -> Iterator[Proxy | None]:
    """None, and a word about it, where npm cannot install it."""
    home.mkdir()
    program = _install_chp(home)
    if program is None:
        print("configurable-http-proxy: npm does not install it here, so G3b is left out")
        yield None
        return
    port, api = find_port(), find_port()
    command = [str(program), f"--port={port}", f"--api-port={api}", "--ip=127.0.0.1"]
    command += [f"--default-target=http://127.0.0.1:{origin}", "--log-level=error"]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: ask(port, "GET", "/").status == 200, "configurable-http-proxy")
            yield Proxy("chp", port, (psutil.Process(process.pid),))
        finally:
            process.terminate()


def _install_chp(home: Path) -> Path | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    command = [npm, "install", "--silent", "--prefix", str(home), "configurable-http-proxy"]
    done = subprocess.run(command, capture_output=True, check=False)
    program = home / "node_modules/.bin/configurable-http-proxy"
    return program if done.returncode == 0 and program.exists() else None
