"""Limits in the tables that no release of ours would have written."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from backendai.manager.db import tables as t
from backendai.manager.sched import load
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, open_world


async def test_limits_that_cannot_be_read_hold_back_only_whom_they_concern(
    make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    """However they came into the table: sizes as people write them count, nonsense is told."""
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "8", "mem": "17179869184"})
    other = uuid.UUID(int=77)
    project = {"name": "other", "domain_name": "default", "resource_policy": "default"}
    async with database.begin() as conn:
        await conn.execute(
            sa.insert(t.projects).values(
                **project, id=other, total_resource_slots={"cpu": "lots", "mem": "1g"}
            )
        )
        written = {"mem": "5g", "cpu": 6.5}
        await conn.execute(sa.update(t.domains).values(total_resource_slots=written))
    fits = await enqueue(database, Wish(slots={"cpu": "1", "mem": str(4 << 30)}))
    held = await enqueue(database, Wish())
    async with database.begin() as conn:
        moved = sa.update(t.sessions).where(t.sessions.c.id == held.id).values(project_id=other)
        await conn.execute(moved)
    beyond = await enqueue(database, Wish(slots={"cpu": "1", "mem": str(2 << 30)}))
    async with database.begin() as conn:
        made = plan(await load.load_view(conn), datetime.now(UTC), 0)
    assert [one.session_id for one in made.placements()] == [fits.id]
    told = {ask.session_id: reason.detail for ask, reason in made.waits()}
    assert told[held.id] == (
        "The limits of the project other cannot be read (cpu: 'lots' is no amount: write a number "
        "such as 2 or 0.5, not below zero); an administrator has to mend them."
    )
    assert told[beyond.id].startswith("The domain default may use 5g of mem; 4g is in use")
    await database.close()
