"""Ended sessions go with everything that hangs on them, and bills stay as they were."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from backendai.common.ids import SystemIds
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.model import NewSession
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.retention import store
from backendai.manager.sched.plan import plan
from backendai.manager.usage.model import Span, sum_by_project
from backendai.manager.usage.store import load_held
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

TABLES = ("sessions", "kernels", "allocations", "history", "session_dependencies", "outbox")


@pytest_asyncio.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "n1", {"cpu": "8", "mem": "17179869184"})
    yield database
    await database.close()


async def place(database: Database, *wishes: Wish) -> list[NewSession]:
    made = [await enqueue(database, wish) for wish in wishes]
    placing = PostgresStore(database, SystemIds())
    now = datetime.now(UTC)
    placed = await placing.place(list(plan(await placing.load_view(), now).placements()), now)
    assert placed.moved
    return made


async def end(database: Database, session: NewSession, days_ago: int) -> None:
    """It held its room for an hour, and has been over for so many days."""
    values = {"id": session.id, "at": datetime.now(UTC) - timedelta(days=days_ago)}
    for words in (
        "UPDATE kernels SET status = 'TERMINATED', ended_at = :at WHERE session_id = :id",
        "UPDATE allocations SET allocated_at = CAST(:at AS timestamptz) - interval '1 h',"
        " freed_at = :at WHERE kernel_id IN (SELECT id FROM kernels WHERE session_id = :id)",
        "UPDATE sessions SET status = 'TERMINATED', ended_at = :at WHERE id = :id",
        "UPDATE outbox SET relayed_at = now() WHERE session_id = :id",
    ):
        await fetch(database, f"{words} RETURNING 1", **values)


async def counts(database: Database) -> dict[str, int]:
    return {
        table: (await fetch(database, f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES
    }


async def bill(database: Database, now: datetime) -> str:
    span = Span(now - timedelta(days=400), now)
    async with database.begin() as conn:
        held = await load_held(conn, span)
    [project] = sum_by_project(held, span, span.until)
    found = [(str(one.last.kernel_id), one.microseconds, one.products) for one in project.kernels]
    return json.dumps(sorted(found))


async def test_only_what_ended_before_goes_and_the_bill_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 2)
    wishes = [Wish(kernels=2), Wish(), Wish(), Wish()]
    olds = await place(database, *wishes)
    for session in olds:
        await end(database, session, 40)
    [young] = await place(database, Wish())
    await end(database, young, 20)
    [live] = await place(database, Wish())
    now = datetime.now(UTC)
    before, cutoff = await bill(database, now), now - timedelta(days=30)

    old = await database.read(lambda conn: store.measure(conn, cutoff))
    assert (old.sessions, old.kernels) == (4, 5)
    removed = await store.clear(database, cutoff)
    assert {name: removed[name] for name in ("sessions", "kernels", "allocations")} == {
        "sessions": 4,
        "kernels": 5,
        "allocations": 10,
    }
    assert await bill(database, now) == before
    left = await fetch(database, "SELECT id FROM sessions ORDER BY created_at")
    assert left == [(young.id,), (live.id,)]
    assert (await counts(database))["kernels"] == 2
    assert await fetch(database, "SELECT 1 FROM slot_drift") == []
    assert await store.clear(database, cutoff) == {}


async def test_what_a_live_session_depends_on_is_kept(database: Database) -> None:
    [first] = await place(database, Wish())
    await end(database, first, 40)
    waiting = await enqueue(database, Wish(depends_on=(first.id,)))
    cutoff = datetime.now(UTC) - timedelta(days=30)
    assert await store.clear(database, cutoff) == {}
    await fetch(
        database,
        "UPDATE sessions SET status = 'CANCELLED', ended_at = now() WHERE id = :id RETURNING 1",
        id=waiting.id,
    )
    removed = await store.clear(database, cutoff)
    assert (removed["sessions"], removed["session_dependencies"]) == (1, 1)
    assert await fetch(database, "SELECT id FROM sessions") == [(waiting.id,)]
