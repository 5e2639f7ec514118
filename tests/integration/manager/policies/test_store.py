"""The limit of what waits, on a real Postgres: many ask at once and none gets past it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import QuotaExceeded
from backendai.common.slots import ResourceSlots
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.enqueue import insert_session
from backendai.manager.policies.model import PendingLimit
from backendai.manager.policies.store import guard_pending
from tests.integration.manager.world import ACCESS_KEY, Wish, fetch, new_session, open_world


@pytest_asyncio.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    yield database
    await database.close()


async def create(database: Database, limit: PendingLimit, wish: Wish) -> None:
    async def work(connection: AsyncConnection) -> None:
        asked = ResourceSlots.parse(wish.slots)
        total = ResourceSlots({name: amount * wish.kernels for name, amount in asked.items()})
        await guard_pending(connection, ACCESS_KEY, limit, total)
        await insert_session(connection, new_session(wish), datetime.now(UTC))

    await database.transact(work)


async def waiting(database: Database) -> int:
    return len(await fetch(database, "SELECT 1 FROM sessions WHERE status = 'PENDING'"))


@pytest.mark.parametrize(
    ("limit", "wish", "most"),
    [
        (PendingLimit.parse(3, None), Wish(), 3),
        (PendingLimit.parse(0, None), Wish(), 0),
        (PendingLimit.parse(None, {"cpu": "4"}), Wish(kernels=2), 2),
        (PendingLimit.parse(None, {"mem": "2.5g"}), Wish(), 2),
        (PendingLimit.parse(None, None), Wish(), 12),
    ],
)
async def test_no_more_wait_than_may_however_many_ask_at_once(
    database: Database, limit: PendingLimit, wish: Wish, most: int
) -> None:
    tried = await asyncio.gather(
        *(create(database, limit, wish) for _ in range(12)), return_exceptions=True
    )
    assert await waiting(database) == most
    refusals = [one for one in tried if one is not None]
    assert len(refusals) == 12 - most
    for refusal in refusals:
        assert isinstance(refusal, QuotaExceeded)
        assert all(key.startswith("pending.") for key in refusal.facts)


async def test_only_what_waits_counts_and_only_of_this_keypair(database: Database) -> None:
    limit = PendingLimit.parse(1, {"cpu": "1"})
    await create(database, limit, Wish())
    with pytest.raises(QuotaExceeded):
        await create(database, limit, Wish())
    await fetch(database, "UPDATE kernels SET status = 'CANCELLED' RETURNING 1")
    await fetch(database, "UPDATE sessions SET status = 'CANCELLED' RETURNING 1")
    await create(database, limit, Wish())
    async with database.begin() as connection:
        await guard_pending(connection, "OTHER", limit, ResourceSlots.parse({"cpu": "1"}))
