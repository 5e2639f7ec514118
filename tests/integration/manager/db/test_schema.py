"""What the migrations make of an empty database is what the code's tables say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.manager.db import schema, tables
from backendai.manager.db.engine import Database
from backendai.manager.db.revision import REVISION, current_revision


@pytest_asyncio.fixture
async def database(make_database: Callable[[str | None], str]) -> AsyncIterator[Database]:
    dsn = await asyncio.to_thread(make_database, None)
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    database = Database(create_async_engine(address))
    yield database
    await database.close()


async def test_an_upgraded_database_has_the_tables_of_this_release(database: Database) -> None:
    assert await schema.upgrade(database) == [
        f"{number:04}" for number in range(1, int(REVISION) + 1)
    ]
    assert await current_revision(database) == REVISION
    assert await schema.upgrade(database) == []

    def differences(connection: sa.Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, tables.metadata))

    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_policy_of_the_release_before_has_no_limit(database: Database) -> None:
    await schema.upgrade(database)
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO keypair_policies (name, default_for_unspecified,"
                " max_concurrent_sessions) VALUES ('p', 'LIMITED', 1)"
            )
        )
        row = (await connection.execute(sa.select(tables.keypair_policies))).one()
    assert row.max_pending_session_count is None
    assert row.max_pending_session_resource_slots is None
