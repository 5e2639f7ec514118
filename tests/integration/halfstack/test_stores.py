"""The three stores as tests get them: they answer, and a killed one comes back with its data."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from backendai.halfstack.control import find_standings
from backendai.halfstack.places import Layout
from backendai.halfstack.probes import run_probe
from backendai.halfstack.services import Probe
from backendai.halfstack.stores import StoreAddresses, run_stores


async def test_postgres_dsn_is_an_empty_database(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    tables = await connection.fetchval("select count(*) from pg_tables where schemaname='public'")
    await connection.close()
    assert tables == 0


async def test_wrong_password_is_refused(postgres_dsn: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_dsn, password="guess")


async def test_valkey_without_password_is_refused(stores: StoreAddresses) -> None:
    port = stores.redis.rpartition(":")[2].partition("/")[0]
    client = redis.asyncio.Redis(host="127.0.0.1", port=int(port))
    with pytest.raises(redis.AuthenticationError):
        await client.ping()
    await client.aclose()


async def test_redis_url_is_an_empty_database(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


async def test_etcd_answers(stores: StoreAddresses) -> None:
    assert await run_probe(Probe("http", stores.etcd_host, stores.etcd_port, "/health")) == ""


def test_database_is_copied(
    make_database: Callable[[str | None], str], runner: asyncio.Runner
) -> None:
    async def run_sql(dsn: str, words: str) -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(words)
        finally:
            await connection.close()

    first = make_database(None)
    runner.run(run_sql(first, "create table t as select 7 as v"))
    assert runner.run(run_sql(make_database(first), "select v from t")) == 7


async def _pid_of(layout: Layout, name: str, unlike: int | None = None) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for standing in await find_standings(layout) or ():
            if standing.name == name and standing.healthy and standing.pid not in (None, unlike):
                return standing.pid or 0
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} is not healthy again")


async def test_killed_store_is_back_with_its_data(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "s")
    async with run_stores(layout.root) as addresses:
        connection = await asyncpg.connect(addresses.postgres)
        await connection.execute("create table t as select 41 as v")
        async with redis.asyncio.Redis.from_url(addresses.redis) as client:
            await client.set("k", "v")
        for name in ("postgres", "valkey", "etcd"):
            before = await _pid_of(layout, name)
            os.kill(before, signal.SIGKILL)
            await _pid_of(layout, name, unlike=before)
        again = await asyncpg.connect(addresses.postgres)
        assert await again.fetchval("select v from t") == 41
        await again.close()
        async with redis.asyncio.Redis.from_url(addresses.redis) as client:
            assert await client.get("k") == b"v"
