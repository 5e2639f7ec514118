"""A frozen cluster: nothing is placed, not even by a plan that was made before."""

from datetime import UTC, datetime

from backendai.common.ids import SystemIds
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.maintenance.model import ClusterStatus
from backendai.manager.maintenance.store import load_standing, write_status
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, open_world


async def test_a_plan_from_before_the_freeze_is_not_written(postgres_dsn: str) -> None:
    database = await open_world(postgres_dsn)
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
