"""Rows of background tasks on a real Postgres."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest_asyncio
import sqlalchemy as sa

from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.tasks.store import claim_tasks
from tests.integration.manager.world import fetch, open_world


@pytest_asyncio.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    yield database
    await database.close()


async def test_what_still_ends_here_is_not_taken_again(database: Database) -> None:
    """Another manager took its holder for dead, and let it wait again."""
    ((user,),) = await fetch(database, "SELECT id FROM users LIMIT 1")
    values = {"name": "work", "params": {}, "user_id": user}
    ending, waiting = [await begin(database, values) for _ in range(2)]
    taken = await database.transact(lambda conn: claim_tasks(conn, "m", ["work"], 9, [ending]))
    assert [task.id for task in taken] == [waiting]
    taken = await database.transact(lambda conn: claim_tasks(conn, "m", ["work"], 9))
    assert [task.id for task in taken] == [ending]


async def begin(database: Database, values: dict[str, object]) -> uuid.UUID:
    statement = sa.insert(t.tasks).values(values).returning(t.tasks.c.id)
    task_id = await database.transact(lambda conn: conn.scalar(statement))
    assert task_id is not None
    return uuid.UUID(str(task_id))
