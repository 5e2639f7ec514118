"""G3f: an API call through the webserver, beside nginx that proxies the same call to the manager.

Ours finds the login of a cookie and signs the request anew; nginx is asked with a request that is
signed already, and only passes it on. Both keep connections to the manager; sixteen connections ask
at once, in alternating rounds. CPU is that of the proxy alone, without the manager's.
"""

import asyncio
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from backendai.common.settings.checks import HostPort
from backendai.common.signing import SignedRequest, signed_headers
from tests.bench.asking import ask_again
from tests.bench.harness import CpuMeter, Rounds, Row
from tests.running.fixtures import find_port
from tests.running.stack import Stack
from tests.running.waiting import until

NEEDS_STACK: Final = True
OF_NGINX_RATE: Final = 0.25
OVER_NGINX_CPU: Final = 4.0
ROUNDS: Final = 5
REQUESTS_PER_ROUND: Final = 800
CONNECTIONS: Final = 16
PATH: Final = "/auth?echo=bench"
VERSION: Final = "v7.20230615"
_NGINX: Final = """
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ }}
http {{
    access_log off;
    upstream manager {{ server {manager}; keepalive 32; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://manager;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host {manager};
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A proxy: where it listens, what it is asked, and its processes."""

    address: HostPort
    request: bytes
    processes: tuple[psutil.Process, ...]


def measure(stack: Stack) -> list[Row]:
    with tempfile.TemporaryDirectory() as home, _running_nginx(Path(home), stack) as peer:
        return asyncio.run(_compare(_log_in(stack), peer))


async def _compare(ours: Side, peer: Side) -> list[Row]:
    taken: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(ROUNDS + 1):
        sides = (ours, peer) if number % 2 else (peer, ours)
        costs = {side.address: await _cost_of_round(side) for side in sides}
        taken.append((costs[ours.address], costs[peer.address]))
    # The first round warms caches and connections.
    mine, theirs = zip(*taken[1:], strict=True)
    cpu = Rounds(tuple(cost[0] for cost in mine), tuple(cost[0] for cost in theirs))
    rate = Rounds(tuple(cost[1] for cost in theirs), tuple(cost[1] for cost in mine))
    floor = replace(rate.row("G3f", "requests a second beside nginx", OF_NGINX_RATE), is_floor=True)
    return [floor, cpu.row("G3f", "CPU of the proxy for a request", OVER_NGINX_CPU)]


async def _cost_of_round(side: Side) -> tuple[float, float]:
    """Seconds a request: of the proxy's CPU, and of time that passed."""
    each = REQUESTS_PER_ROUND // CONNECTIONS
    watched, started = CpuMeter({"proxy": side.processes}), time.perf_counter()
    await asyncio.gather(*(ask_again(side.address, side.request, each) for _ in range(CONNECTIONS)))
    elapsed, count = time.perf_counter() - started, each * CONNECTIONS
    return watched.milliseconds_per(count)["proxy"] / 1e3, elapsed / count


def _log_in(stack: Stack) -> Side:
    found, daemon = stack.credentials(), stack.daemon("webserver")
    address = _address_of(str(daemon["address"]))
    connection = http.client.HTTPConnection(address.host, address.port)
    body = json.dumps({"username": found["BAI_LOGIN"], "password": found["BAI_PASSWORD"]})
    connection.request("POST", "/server/login", body, {"X-BackendAI-Version": VERSION})
    answer = connection.getresponse()
    token = answer.headers["X-BackendAI-SessionID"]
    assert token, answer.read()
    connection.close()
    headers = {"Cookie": f"AIOHTTP_SESSION={token}", "X-BackendAI-Version": VERSION}
    request = _compose(f"/func{PATH}", {"Host": str(address), **headers})
    return Side(address, request, (psutil.Process(daemon["pid"]),))


@contextmanager
def _running_nginx(home: Path, stack: Stack) -> Iterator[Side]:
    """One worker in front of the stack's manager, and a request that the manager takes."""
    program = shutil.which("nginx")
    assert program is not None, "needs nginx: apt install nginx-core"
    manager, port = _address_of(str(stack.daemon("manager")["address"])), find_port()
    config = home / "nginx.conf"
    text = _NGINX.format(home=home, port=port, manager=manager)
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    command = [program, "-c", str(config), "-p", str(home), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: http.client.HTTPConnection("127.0.0.1", port).connect() is None, "nginx")
            master = psutil.Process(process.pid)
            workers = (master, *master.children())
            yield Side(HostPort("127.0.0.1", port), _sign(stack, manager), workers)
        finally:
            process.terminate()


def _sign(stack: Stack, manager: HostPort) -> bytes:
    """A GET may be sent again as it is: only what changes something is remembered."""
    found = stack.credentials()
    signed = SignedRequest(
        method="GET",
        target=PATH,
        date_text=datetime.now(UTC).isoformat(),
        host=str(manager),
        content_type="application/octet-stream",
        version=VERSION,
    )
    keys = found["BACKEND_ACCESS_KEY"], found["BACKEND_SECRET_KEY"]
    return _compose(PATH, {"Host": str(manager), **signed_headers(signed, *keys)})


def _compose(target: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _address_of(url: str) -> HostPort:
    parts = urlsplit(url)
    return HostPort(parts.hostname or "", parts.port or 80)
