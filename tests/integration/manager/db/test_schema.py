"""What the migrations make of an empty database is what the code's tables say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.common.faults import Conflict, StoreUnavailable
from backendai.manager.db import ddl, migrations, schema, tables
from backendai.manager.db.engine import Database
from backendai.manager.db.revision import OLDEST, REVISION, Schema, current_schema, read_schema
from tests.integration.manager.world import fetch, until

# As the release had them that knew the eleventh revision.
PROJECTS = (
    "INSERT INTO domains (name) VALUES ('default')",
    "INSERT INTO project_policies (name) VALUES ('default')",
    "INSERT INTO projects (id, name, domain_name, resource_policy)"
    " SELECT gen_random_uuid(), 'p' || n, 'default', 'default' FROM generate_series(1, 20000) n",
)
WRITE = (
    "INSERT INTO projects (id, name, domain_name, resource_policy)"
    " VALUES (gen_random_uuid(), 'beside', 'default', 'default')"
)
BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE command LIKE '%CONCURRENTLY'"
VERSIONS = Path(str(migrations.__file__)).parent / "versions"
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


@pytest_asyncio.fixture
async def database(make_database: Callable[[str | None], str]) -> AsyncIterator[Database]:
    dsn = await asyncio.to_thread(make_database, None)
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    database = Database(create_async_engine(address))
    yield database
    await database.close()


async def test_an_upgraded_database_has_the_tables_of_this_release(database: Database) -> None:
    revisions = sorted(file.name[1:5] for file in VERSIONS.glob("r*.py"))
    assert revisions[-1] == REVISION
    assert await schema.upgrade(database) == revisions
    assert await current_schema(database) == Schema(REVISION, OLDEST)
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


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    """Of the release before many indexes, with rows."""
    await schema.upgrade(database, "0011")
    async with database.begin() as connection:
        for statement in PROJECTS:
            await connection.execute(sa.text(statement))
    return database


async def test_who_writes_is_not_held_up_while_an_index_is_made(filled: Database) -> None:
    async with filled.begin() as before:
        # The index waits for it, and whoever is behind the index would wait with it.
        await before.execute(sa.text("UPDATE projects SET description = 'x' WHERE name = 'p1'"))
        upgrade = asyncio.create_task(schema.upgrade(filled))
        await until(lambda: fetch(filled, BUILDING))
        async with filled.begin() as beside:
            await beside.execute(sa.text("SET LOCAL lock_timeout = '1s'"))
            await beside.execute(sa.text(WRITE))
        assert not upgrade.done()
        modes = await fetch(
            filled,
            "SELECT DISTINCT mode FROM pg_locks WHERE relation = 'projects'::regclass"
            " AND pid IN (SELECT pid FROM pg_stat_progress_create_index)",
        )
        assert modes == [("ShareUpdateExclusiveLock",)]
    assert (await upgrade)[-1] == REVISION
    assert await fetch(filled, INVALID) == []


async def test_an_index_that_was_cut_off_is_made_anew(filled: Database) -> None:
    async with filled.begin() as before:
        await before.execute(sa.text("UPDATE projects SET description = 'x' WHERE name = 'p1'"))
        upgrade = asyncio.create_task(schema.upgrade(filled))
        ((pid,),) = await until(lambda: fetch(filled, BUILDING))
        await fetch(filled, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(StoreUnavailable):
            await upgrade
    assert await fetch(filled, INVALID) == [("ix_projects_name",)]
    assert await current_schema(filled) == Schema("0011", "0011")
    assert (await schema.upgrade(filled))[-1] == REVISION
    assert await fetch(filled, INVALID) == []


async def test_tables_say_whom_they_serve_wherever_an_upgrade_was_cut_off(
    filled: Database,
) -> None:
    assert await current_schema(filled) == Schema("0011", "0011")
    async with filled.begin() as connection:
        # So that the eighteenth revision fails, which makes one of this name.
        await connection.execute(sa.text("CREATE TABLE join_tokens ()"))
    with pytest.raises(sa.exc.ProgrammingError):
        await schema.upgrade(filled)
    assert await current_schema(filled) == Schema("0017", "0017")


async def test_tables_say_whom_they_serve_when_made_in_one_transaction(database: Database) -> None:
    async with database.begin() as connection:
        await schema.upgrade_within(connection, "0011")
        assert await read_schema(connection) == Schema("0011", "0011")
        await schema.upgrade_within(connection)
        assert await read_schema(connection) == Schema(REVISION, OLDEST)


async def test_triggers_and_views_are_those_of_this_release(database: Database) -> None:
    """The migrations have them as text of their own time."""
    await schema.upgrade(database)
    made = (
        "SELECT proname, regexp_replace(prosrc, '\\s+', ' ', 'g') FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace UNION ALL"
        " SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' UNION ALL"
        " SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        " ORDER BY 1, 2"
    )
    migrated = await fetch(database, made)
    undo = (*(f"DROP VIEW {name}" for name in ddl.VIEWS),)
    undo += (*(f"DROP FUNCTION {name} CASCADE" for name in ddl.FUNCTIONS),)
    async with database.begin() as connection:
        for statement in (*undo, *ddl.CREATE, *ddl.KEEP_USAGE, ddl.LIVE_CIRCUITS):
            await connection.exec_driver_sql(statement)
    assert await fetch(database, made) == migrated
    assert len(migrated) == len(ddl.VIEWS) + len(ddl.FUNCTIONS) * 2


async def test_tables_of_a_later_release_are_left_to_its_program(database: Database) -> None:
    await schema.upgrade(database)
    async with database.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="at revision 9999, of a later release"):
        await schema.upgrade(database)
