"""What a Postgres that has run out of something is called: each shortage by its own fault."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from backendai.common.faults import (
    StoreCrowded,
    StoreFull,
    StoreOutOfMemory,
    StoreUnavailable,
    to_problem,
)
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import DbSettings
from backendai.manager.db.engine import IDLE_TRANSACTION_SECONDS, Database, open_database
from backendai.manager.refusals import tell_outage

FAIL = "DO $$ BEGIN RAISE EXCEPTION 'ran out' USING ERRCODE = '{state}'; END $$"


@pytest_asyncio.fixture
async def database(make_database: Callable[[str | None], str]) -> AsyncIterator[Database]:
    dsn = await asyncio.to_thread(make_database, None)
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    database = Database(create_async_engine(address, pool_size=1, max_overflow=0, pool_timeout=0.2))
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("state", "fault", "fix"),
    [
        ("53100", StoreFull, "free space"),
        ("53200", StoreOutOfMemory, "more memory"),
        ("53300", StoreCrowded, "max_connections"),
        ("53400", StoreUnavailable, "start it"),
        ("57P03", StoreUnavailable, "start it"),
    ],
)
@pytest.mark.parametrize("way", ["transact", "read", "begin"])
async def test_each_shortage_has_its_own_fault(
    database: Database, state: str, fault: type[StoreUnavailable], fix: str, way: str
) -> None:
    async def work(conn: Any) -> None:
        await conn.execute(sa.text(FAIL.format(state=state)))

    async def begin(work: Any) -> None:
        async with database.begin() as conn:
            await work(conn)

    attempt = begin if way == "begin" else getattr(database, way)
    with pytest.raises(StoreUnavailable) as told:
        await attempt(work)
    assert type(told.value) is fault
    assert told.value.http_status == 503
    assert to_problem(told.value)["code"] == fault.code
    assert ("cannot be reached" in told.value.detail) == (fault is StoreUnavailable)
    cause = told.value.__cause__
    assert cause is not None
    assert fix in tell_outage(DbSettings(), cause)


async def test_a_user_without_connections_left_is_crowded(database: Database) -> None:
    async with database.begin() as conn:
        name = (await conn.execute(sa.text("SELECT current_database()"))).scalar_one()
        await conn.execute(sa.text(f"CREATE ROLE {name} LOGIN PASSWORD 'x' CONNECTION LIMIT 0"))
    address = database.engine.url.set(username=str(name), password="x")
    crowded = Database(create_async_engine(address))
    try:
        with pytest.raises(StoreCrowded):
            await crowded.read(lambda conn: conn.execute(sa.text("SELECT 1")))
    finally:
        await crowded.close()
        async with database.begin() as conn:
            await conn.execute(sa.text(f"DROP ROLE {name}"))


async def test_an_empty_pool_is_crowded(database: Database) -> None:
    async with database.begin():
        with pytest.raises(StoreCrowded):
            await database.read(lambda conn: conn.execute(sa.text("SELECT 1")))


async def test_a_manager_frozen_amid_a_transaction_holds_up_nobody(database: Database) -> None:
    """Its rows are free again after a while; if it wakes, it does the whole of its work anew."""
    url = database.engine.url
    assert url.host
    assert url.port
    assert url.database
    settings = DbSettings(
        addr=HostPort(url.host, url.port),
        name=url.database,
        user=url.username or "postgres",
        password=url.password or "",
    )
    frozen, other = open_database(settings, "manager:a"), open_database(settings, "manager:b")
    attempts: list[int] = []

    async def lock(conn: AsyncConnection) -> None:
        await conn.execute(sa.text("SELECT pg_advisory_xact_lock(1)"))

    async def freeze_once(conn: AsyncConnection) -> None:
        if not attempts:
            await conn.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 100"))
        await lock(conn)
        attempts.append(1)
        if len(attempts) == 1:
            await other.transact(lock)
        await conn.execute(sa.text("SELECT 1"))

    try:
        shown = await other.read(
            lambda conn: conn.scalar(sa.text("SHOW idle_in_transaction_session_timeout"))
        )
        assert shown == f"{IDLE_TRANSACTION_SECONDS:.0f}s"
        await frozen.transact(freeze_once)
        assert len(attempts) == 2
    finally:
        await frozen.close()
        await other.close()
