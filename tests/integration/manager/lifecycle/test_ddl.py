"""The triggers and the view that hold even for code that does not know of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from backendai.common.ids import SystemIds
from backendai.common.lifecycle import FINAL, HOLDING, KernelStatus
from backendai.manager.db import ddl
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.model import NewSession
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world


@pytest_asyncio.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    yield database
    await database.close()


async def place_one(database: Database) -> NewSession:
    await add_agent(database, "a1", {"cpu": "4", "mem": "8589934592"})
    new = await enqueue(database, Wish())
    store = PostgresStore(database, SystemIds())
    now = datetime.now(UTC)
    await store.place(list(plan(await store.load_view(), now).placements()), now)
    return new


async def held(database: Database) -> int:
    rows = await fetch(database, "SELECT count(*) FROM allocations WHERE freed_at IS NULL")
    return int(rows[0][0])


@pytest.mark.parametrize("status", sorted(KernelStatus))
async def test_room_is_freed_by_whoever_writes_the_status(
    database: Database, status: KernelStatus
) -> None:
    await place_one(database)
    assert await held(database) == 2
    await fetch(database, "UPDATE kernels SET status = :status RETURNING 1", status=status.value)
    assert await held(database) == (2 if status in HOLDING else 0)


@pytest.mark.parametrize("status", sorted(FINAL))
async def test_what_is_final_cannot_be_left(database: Database, status: KernelStatus) -> None:
    await place_one(database)
    for table in ("kernels", "sessions"):
        await fetch(database, f"UPDATE {table} SET status = '{status.value}' RETURNING 1")
        with pytest.raises(IntegrityError, match="final"):
            await fetch(database, f"UPDATE {table} SET status = 'RUNNING' RETURNING 1")


async def test_the_view_shows_every_kind_of_drift(database: Database) -> None:
    await place_one(database)
    assert await fetch(database, "SELECT * FROM slot_drift") == []
    await fetch(database, "UPDATE allocations SET amount = 3 WHERE slot = 'cpu' RETURNING 1")
    query = "SELECT slot, due, held FROM slot_drift ORDER BY slot"
    assert [(slot, int(due), int(has)) for slot, due, has in await fetch(database, query)] == [
        ("cpu", 1, 3)
    ]
    await fetch(database, "UPDATE allocations SET freed_at = now() RETURNING 1")
    assert [row[2] for row in await fetch(database, query)] == [None, None]


async def test_ddl_can_be_taken_back(database: Database) -> None:
    async with database.begin() as conn:
        for statement in (*ddl.DROP, *ddl.CREATE):
            await conn.execute(sa.text(statement))
