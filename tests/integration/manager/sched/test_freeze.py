"""A frozen cluster: nothing is placed, not even by a plan that was made before."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from backendai.common.clock import FakeClock
from backendai.common.ids import SystemIds
from backendai.common.loops import Wake
from backendai.manager.db import tables as t
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.maintenance.model import ClusterStatus
from backendai.manager.maintenance.store import load_standing, write_status
from backendai.manager.sched.loop import Planner
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

MakeDatabase = Callable[[str | None], str]


async def test_a_plan_from_before_the_freeze_is_not_written(
    make_database: MakeDatabase, world_dsn: str
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "4", "mem": "8589934592"})
    await enqueue(database, Wish())
    store = PostgresStore(database, SystemIds())
    now = datetime.now(UTC)
    view = await store.load_view()
    assert not view.is_frozen
    placements = list(plan(view, now).placements())
    async with database.begin() as conn:
        assert await write_status(conn, ClusterStatus.FROZEN, "root")
    placed = await store.place(placements, now)
    assert (placed.moved, list(placed.refused)) == ((), placements)
    assert (await store.load_view()).is_frozen
    async with database.begin() as conn:
        assert not await write_status(conn, ClusterStatus.FROZEN, "root")
        assert await write_status(conn, ClusterStatus.RUNNING, "root")
    placed = await store.place(placements, now)
    assert len(placed.moved) == 1
    async with database.begin() as conn:
        standing = await load_standing(conn)
    assert (standing.status, standing.active_sessions) == (ClusterStatus.RUNNING, 1)
    await database.close()


async def test_nobodys_time_to_wait_runs_out_while_the_cluster_is_frozen(
    make_database: MakeDatabase,
    world_dsn: str,
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    session = await enqueue(database, Wish())
    async with database.begin() as conn:
        options = {"pending_timeout_seconds": 60}
        await conn.execute(sa.update(t.resource_groups).values(scheduler_opts=options))
        await write_status(conn, ClusterStatus.FROZEN, "root")
    clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
    planner = Planner(PostgresStore(database, SystemIds()), clock, "planner", Wake())

    async def look() -> tuple[str, str]:
        await planner.step()
        found = "select status, waiting ->> 'rule' from sessions where id = :id"
        [(status, rule)] = await fetch(database, found, id=session.id)
        return status, rule

    assert await look() == ("PENDING", "frozen")
    async with database.begin() as conn:
        await write_status(conn, ClusterStatus.RUNNING, "root")
    assert (await look())[0] == "CANCELLED"
    await database.close()
