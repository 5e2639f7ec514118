"""G5a, G5b, G5e: what a request costs before its handler does anything for it.

An open GET beside an aiohttp application of one handler; an authenticated GET beside a hand-written
handler that does the same work; and either with the access log beside itself without. Behind the
gate both check the signature, ask Redis in one pipeline and look the keypair up in PostgreSQL; ours
may remember it for a second. Servers are processes of their own on the same stores; the figures are
CPU and requests a second, sixteen connections at once, in alternating rounds.
"""

import asyncio
import contextlib
import hashlib
import hmac
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import psutil
import redis.asyncio
import sqlalchemy as sa
from aiohttp import web

from backendai.common.http import serve
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import check_settings
from backendai.common.signing import SignedRequest, parse_authorization, signed_headers
from backendai.halfstack.stores import StoreAddresses, run_stores
from backendai.manager.accounts.fixture import load_fixture
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.api import make_manager_app
from backendai.manager.app import run_manager
from backendai.manager.db.engine import open_database
from backendai.manager.db.schema import upgrade
from backendai.manager.settings import ManagerSettings
from tests.bench.asking import ask_again
from tests.bench.harness import CpuMeter, Rounds, Row

NEEDS_STACK: Final = False
OVER_BARE: Final = 1.5
OF_BARE_RATE: Final = 0.65
OVER_HAND_WRITTEN: Final = 1.2
OVER_UNLOGGED: Final = 1.15
ROUNDS: Final = 5
REQUESTS_PER_ROUND: Final = 2_000
CONNECTIONS: Final = 16
# Of a server that has just begun, and then of one that waits.
START_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 3.0
ACCESS_KEY: Final = "AKBENCH"
SECRET_KEY: Final = "a secret key of the bench"
# Answered by nobody but the edge, the gate and a constant; the first is never logged.
VERSION: Final = "/"
OPEN_PATH: Final = "/config/vfolder-types"
SIGNED_PATH: Final = "/auth"
Server = Callable[[Connection, dict[str, Any], str], None]


@dataclass(frozen=True, slots=True)
class At:
    """Where the process `pid` serves. `idle` is the CPU it uses in a second when nobody asks."""

    pid: int
    address: HostPort
    idle: float


@dataclass(frozen=True, slots=True)
class Target:
    """A path of a server."""

    server: At
    path: str

    def request(self) -> bytes:
        """A GET may be sent again as it is: only what changes something is remembered."""
        headers = {"Host": str(self.server.address), "Content-Type": "text/plain"}
        if self.path == SIGNED_PATH:
            headers |= self._signature()
        lines = [f"GET {self.path} HTTP/1.1", *(f"{k}: {text}" for k, text in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def _signature(self) -> dict[str, str]:
        signed = SignedRequest(
            method="GET",
            target=self.path,
            date_text=datetime.now(UTC).isoformat(),
            host=str(self.server.address),
            content_type="text/plain",
            version="v7.20230615",
        )
        return dict(signed_headers(signed, ACCESS_KEY, SECRET_KEY))


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per request: of the server's CPU but what it uses anyhow, and of time that passed."""

    cpu: float
    elapsed: float


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="bench-gate-"))
    try:
        async with run_stores(folder / "stores") as stores:
            settings = _settings_of(stores, folder)
            await _prepare(settings)
            data = _data_of(stores, folder)
            async with (
                _served(serve_manager, data, stores.postgres) as (ours, unlogged),
                _served(serve_reference, data, stores.postgres) as (peer,),
            ):
                return await _rows(ours, unlogged, peer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _rows(ours: At, unlogged: At, peer: At) -> list[Row]:
    def at(path: str) -> Callable[[At], Target]:
        return lambda server: Target(server, path)

    version, signed, opened = at(VERSION), at(SIGNED_PATH), at(OPEN_PATH)
    cpu, elapsed = await _compare(version(ours), version(peer))
    rate = Rounds(ours=elapsed.peer, peer=elapsed.ours)
    return [
        cpu.row("G5a", "CPU of an open GET beside bare aiohttp", OVER_BARE),
        replace(rate.row("G5a", "its requests a second", OF_BARE_RATE), is_floor=True),
        await _row("G5b", "CPU of an authenticated GET", signed(ours), signed(peer)),
        await _row("G5e", "CPU of an open GET, logged", opened(ours), opened(unlogged)),
        await _row("G5e", "CPU of an authenticated GET, logged", signed(ours), signed(unlogged)),
    ]


async def _row(goal: str, what: str, ours: Target, peer: Target) -> Row:
    cpu, _elapsed = await _compare(ours, peer)
    return cpu.row(goal, what, OVER_HAND_WRITTEN if goal == "G5b" else OVER_UNLOGGED)


async def _compare(ours: Target, peer: Target) -> tuple[Rounds, Rounds]:
    """Of CPU and of time."""
    taken: list[tuple[Cost, Cost]] = []
    for number in range(ROUNDS + 1):
        sides = (ours, peer) if number % 2 else (peer, ours)
        costs = {target: await _cost_of_round(target) for target in sides}
        taken.append((costs[ours], costs[peer]))
    # The first round warms caches and connections.
    mine, theirs = zip(*taken[1:], strict=True)
    return (
        Rounds(tuple(cost.cpu for cost in mine), tuple(cost.cpu for cost in theirs)),
        Rounds(tuple(cost.elapsed for cost in mine), tuple(cost.elapsed for cost in theirs)),
    )


async def _cost_of_round(target: Target) -> Cost:
    server, request = target.server, target.request()
    each = REQUESTS_PER_ROUND // CONNECTIONS
    watched, started = _meter(server.pid), time.perf_counter()
    await asyncio.gather(*(ask_again(server.address, request, each) for _ in range(CONNECTIONS)))
    elapsed, count = time.perf_counter() - started, each * CONNECTIONS
    used = watched.milliseconds_per(1)["server"] / 1e3 - server.idle * elapsed
    return Cost(used / count, elapsed / count)


async def _idle_cpu(pid: int) -> float:
    await asyncio.sleep(START_SECONDS)
    watched = _meter(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return watched.milliseconds_per(1)["server"] / 1e3 / IDLE_SECONDS


def _meter(pid: int) -> CpuMeter:
    return CpuMeter({"server": [psutil.Process(pid)]})


@asynccontextmanager
async def _served(serve: Server, data: dict[str, Any], dsn: str) -> AsyncIterator[list[At]]:
    """The addresses that one process serves."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, data, dsn))
    process.start()
    try:
        addresses = await asyncio.get_running_loop().run_in_executor(None, ours.recv)
        pid = process.pid or 0
        idle = await _idle_cpu(pid)
        yield [At(pid, address, idle) for address in addresses]
    finally:
        process.kill()
        process.join()


def serve_manager(link: Connection, data: dict[str, Any], _dsn: str) -> None:
    """Twice: as it is, and without an access log."""

    async def main() -> None:
        settings = check_settings(ManagerSettings, data, "bench")
        async with run_manager(settings) as manager:
            unlogged = make_manager_app(
                manager.services, manager.core.health, manager.stores, settings
            )
            async with serve(unlogged, settings.manager.service_addr) as address:
                link.send([manager.address, address])
                await asyncio.Event().wait()

    with contextlib.redirect_stderr(Path(os.devnull).open("w")):
        asyncio.run(main())


def serve_reference(link: Connection, data: dict[str, Any], dsn: str) -> None:
    asyncio.run(_reference(link, data, dsn))


async def _reference(link: Connection, data: dict[str, Any], dsn: str) -> None:
    """What a careful person would write by hand, and nothing more."""
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=8)
    where = data["redis"]
    store = redis.asyncio.Redis(
        host=where["addr"]["host"], port=where["addr"]["port"], password=where["password"]
    )

    async def handle(request: web.Request) -> web.Response:
        credential = parse_authorization(request.headers["Authorization"])
        row = await pool.fetchrow(
            "select k.is_active, k.rate_limit, u.id, u.role, u.status from keypairs k"
            " join users u on u.id = k.user_id where k.access_key = $1",
            credential.access_key,
        )
        assert row["is_active"]
        assert row["status"] == "active"
        text = "\n".join(
            [
                request.method,
                request.raw_path,
                request.headers["Date"],
                f"host:{request.headers['Host']}",
                f"content-type:{request.headers['Content-Type']}",
                f"x-backendai-version:{request.headers['X-BackendAI-Version']}",
                hashlib.sha256(b"").hexdigest(),
            ]
        )
        key = hmac.digest(
            SECRET_KEY.encode(), datetime.now(UTC).strftime("%Y%m%d").encode(), "sha256"
        )
        key = hmac.digest(key, request.headers["Host"].encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        assert hmac.compare_digest(signature, credential.signature)
        async with store.pipeline(transaction=False) as pipe:
            _queued = [pipe.incr("reference"), pipe.expire("reference", 900)]
            used, _ = await pipe.execute()
        return web.Response(
            body=msgspec.json.encode({"authorized": "yes", "echo": ""}),
            content_type="application/json",
            headers={
                "X-RateLimit-Limit": str(row["rate_limit"]),
                "X-RateLimit-Remaining": str(row["rate_limit"] - used),
                "X-RateLimit-Window": "900",
            },
        )

    async def hello(_request: web.Request) -> web.Response:
        body = msgspec.json.encode({"version": "v7.20230615", "manager": "1.0"})
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get(VERSION, hello)
    app.router.add_get(SIGNED_PATH, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    link.send([HostPort(*runner.addresses[0][:2])])
    await asyncio.Event().wait()


async def _prepare(settings: ManagerSettings) -> None:
    write_secret_key(settings.manager.secret_key_file)
    database = open_database(settings.db, "bench")
    box = SecretBox(load_secret_key(settings.manager.secret_key_file))
    try:
        await upgrade(database)
        await database.transact(lambda connection: load_fixture(connection, _ROWS, box))
    finally:
        await database.close()


def _settings_of(stores: StoreAddresses, folder: Path) -> ManagerSettings:
    return check_settings(ManagerSettings, _data_of(stores, folder), "bench")


def _data_of(stores: StoreAddresses, folder: Path) -> dict[str, Any]:
    database, cache = sa.make_url(stores.postgres), sa.make_url(stores.redis)
    return {
        "etcd": {"namespace": "bench", "addr": stores.etcd},
        "db": {
            "addr": {"host": database.host, "port": database.port},
            "name": database.database,
            "user": database.username,
            "password": database.password or "",
        },
        "redis": {
            "addr": {"host": cache.host, "port": cache.port},
            "password": cache.password or "",
        },
        "manager": {
            "service-addr": {"host": "127.0.0.1", "port": 0},
            "secret-key-file": str(folder / "secret.key"),
            "config-cache": str(folder / "config.json"),
        },
    }


_ROWS: Final[dict[str, list[dict[str, Any]]]] = {
    "keypair_policies": [{"name": "default", "max_concurrent_sessions": 10}],
    "user_policies": [{"name": "default"}],
    "domains": [{"name": "default"}],
    "users": [
        {
            "email": "bench@example.com",
            "username": "bench",
            "domain_name": "default",
            "resource_policy": "default",
        }
    ],
    "keypairs": [
        {
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "user": "bench@example.com",
            "resource_policy": "default",
            "rate_limit": 10_000_000,
        }
    ],
}
