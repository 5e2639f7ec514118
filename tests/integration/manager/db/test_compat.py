"""What a release before this one needs of the tables is there: daemons of both work at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.manager.db import schema
from backendai.manager.db.engine import Database
from backendai.manager.db.revision import OLDEST, REVISION, Schema, current_schema, find_misfit
from tests.integration.manager.world import fetch

COLUMNS = """
SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
  a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace
  AND a.attnum > 0 AND NOT a.attisdropped
"""
RULES = """
SELECT c.relname || ': ' || conname || ' ' || pg_get_constraintdef(k.oid)
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = 'public'::regnamespace AND k.contype <> 'n'
"""


@dataclass(frozen=True)
class Tables:
    """Columns with their types, those that a row must be given, and the constraints on rows."""

    columns: dict[str, str]
    needed: frozenset[str]
    rules: frozenset[str]

    @property
    def names(self) -> set[str]:
        return {column.partition(".")[0] for column in self.columns}


@pytest_asyncio.fixture
async def old(make_database: Callable[[str | None], str]) -> AsyncIterator[Database]:
    """As the oldest release left it that works beside this one."""
    dsn = await asyncio.to_thread(make_database, None)
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    database = Database(create_async_engine(address))
    await schema.upgrade(database, OLDEST)
    yield database
    await database.close()


async def test_the_release_before_works_on_these_tables(old: Database) -> None:
    before = await read_tables(old)
    await schema.upgrade(old)
    assert find_breaks(before, await read_tables(old)) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER TABLE error_logs DROP COLUMN message", "error_logs.message is gone"),
        ("ALTER TABLE users ADD COLUMN x text NOT NULL", "users.x has to be given"),
        ("ALTER TABLE error_logs ALTER message TYPE varchar(9)", "error_logs.message was text"),
        ("ALTER TABLE users ADD CONSTRAINT ck CHECK (email <> 'a')", "users has a new rule"),
        ("DROP TABLE error_logs", "error_logs.id is gone"),
    ],
)
async def test_what_would_break_it_is_found(old: Database, statement: str, told: str) -> None:
    before = await read_tables(old)
    async with old.begin() as connection:
        await connection.execute(sa.text(statement))
    assert told in "\n".join(find_breaks(before, await read_tables(old)))


async def test_tables_say_whom_they_serve(old: Database) -> None:
    later = f"{int(REVISION) + 1:04}"
    await schema.upgrade(old)
    async with old.begin() as connection:
        await connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{later}'"))
    assert await current_schema(old) == Schema(later, OLDEST)
    assert find_misfit(await current_schema(old), REVISION) is None
    async with old.begin() as connection:
        await connection.execute(sa.text("COMMENT ON TABLE alembic_version IS NULL"))
    misfit = find_misfit(await current_schema(old), REVISION)
    assert misfit is not None
    assert misfit.told.startswith(f"the database is at revision {later}")
    assert "install the release" in misfit.fix


async def read_tables(database: Database) -> Tables:
    columns = await fetch(database, COLUMNS)
    return Tables(
        {name: kind for name, kind, _ in columns},
        frozenset(name for name, _, is_needed in columns if is_needed),
        frozenset(rule for (rule,) in await fetch(database, RULES)),
    )


def find_breaks(before: Tables, after: Tables) -> list[str]:
    """What a daemon that knows only `before` cannot live with."""
    gone = [f"{name} is gone" for name in before.columns if name not in after.columns]
    changed = [
        f"{name} was {kind}"
        for name, kind in before.columns.items()
        if after.columns.get(name, kind) != kind
    ]
    needed = [
        f"{name} has to be given"
        for name in after.needed - before.needed
        if name.partition(".")[0] in before.names
    ]
    rules = [
        f"{rule.partition(':')[0]} has a new rule: {rule}"
        for rule in after.rules - before.rules
        if rule.partition(":")[0] in before.names
    ]
    return sorted([*gone, *changed, *needed, *rules])
