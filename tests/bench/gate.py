"""G5b: an authenticated GET beside a hand-written handler that does the same work.

Both check the signature, ask Redis in one pipeline and look the keypair up in PostgreSQL; ours may
remember it for a second. Servers are processes of their own on the same stores; the figure is
their CPU per request, sixteen connections at once, in alternating rounds.
"""

import asyncio
import contextlib
import hashlib
import hmac
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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

from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import check_settings
from backendai.common.signing import SignedRequest, parse_authorization, signed_headers
from backendai.halfstack.stores import StoreAddresses, run_stores
from backendai.manager.accounts.fixture import load_fixture
from backendai.manager.accounts.secretbox import SecretBox, load_secret_key, write_secret_key
from backendai.manager.app import run_manager
from backendai.manager.db.engine import open_database
from backendai.manager.db.schema import upgrade
from backendai.manager.settings import ManagerSettings
from tests.bench.harness import Rounds, Row

NEEDS_STACK: Final = False
GOAL: Final = 1.2
ROUNDS: Final = 5
REQUESTS_PER_ROUND: Final = 2_000
CONNECTIONS: Final = 16
ACCESS_KEY: Final = "AKBENCH"
SECRET_KEY: Final = "a secret key of the bench"
Server = Callable[[Connection, dict[str, Any], str], None]


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
                _served(serve_manager, data, stores.postgres) as ours,
                _served(serve_reference, data, stores.postgres) as peer,
            ):
                return [await _compare(ours, peer)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _compare(ours: tuple[int, HostPort], peer: tuple[int, HostPort]) -> Row:
    taken: list[tuple[float, float]] = []
    for number in range(ROUNDS + 1):
        pair = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            process, address = (ours, peer)[side]
            pair[side] = await _cpu_of_round(process, address)
        taken.append((pair[0], pair[1]))
    # The first round warms caches and connections.
    mine, theirs = zip(*taken[1:], strict=True)
    return Rounds(mine, theirs).row("G5b", "CPU of an authenticated GET", GOAL)


async def _cpu_of_round(process: int, address: HostPort) -> float:
    """CPU seconds of the server per request."""
    watched = psutil.Process(process)
    request = _request_to(address)
    before = watched.cpu_times()
    each = REQUESTS_PER_ROUND // CONNECTIONS
    await asyncio.gather(*(_ask(address, request, each) for _ in range(CONNECTIONS)))
    after = watched.cpu_times()
    used = after.user + after.system - before.user - before.system
    return float(used) / (each * CONNECTIONS)


async def _ask(address: HostPort, request: bytes, times: int) -> None:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        for _ in range(times):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
    finally:
        writer.close()


def _request_to(address: HostPort) -> bytes:
    """A GET may be sent again as it is: only what changes something is remembered."""
    signed = SignedRequest(
        method="GET",
        target="/auth",
        date_text=datetime.now(UTC).isoformat(),
        host=str(address),
        content_type="text/plain",
        version="v7.20230615",
    )
    headers = {
        "Host": str(address),
        "Content-Type": "text/plain",
        **signed_headers(signed, ACCESS_KEY, SECRET_KEY),
    }
    lines = ["GET /auth HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def _served(
    serve: Server, data: dict[str, Any], dsn: str
) -> AsyncIterator[tuple[int, HostPort]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, data, dsn))
    process.start()
    try:
        address = await asyncio.get_running_loop().run_in_executor(None, ours.recv)
        yield process.pid or 0, address
    finally:
        process.kill()
        process.join()


def serve_manager(link: Connection, data: dict[str, Any], _dsn: str) -> None:
    async def main() -> None:
        settings = check_settings(ManagerSettings, data, "bench")
        async with run_manager(settings) as manager:
            link.send(manager.address)
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

    app = web.Application()
    app.router.add_get("/auth", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    link.send(HostPort(*runner.addresses[0][:2]))
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
