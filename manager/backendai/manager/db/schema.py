"""Brings the database to this release's schema, one manager at a time, or not at all."""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import Conflict

from .ddl import FUNCTIONS, VIEWS
from .engine import Database
from .migrations.indexes import LIMITS, WITHIN
from .revision import REVISION
from .tables import metadata

_FOLDER: Final = Path(__file__).parent / "migrations"
# Any number will do that nobody else takes: the word "schema" as bytes.
_GUARD: Final = int.from_bytes(b"schema", "big")
GUARD_WAIT_SECONDS: Final = 60.0


async def upgrade(database: Database, revision: str = "head") -> list[str]:
    """Run the revisions that are missing, each in a transaction of its own. Returns their ids.

    Lock timeout 4 s and statement timeout 5 s, so that a migration never stops a running manager;
    indexes are made without stopping anybody, and may take longer. What was done before a fault
    stays, and the next run goes on from there. Raises Conflict where the database is of a later
    release.
    """
    async with database.connect() as connection:
        await _take(connection, "pg_try_advisory_lock")
        try:
            for name, limit in LIMITS.items():
                await connection.execute(text(f"set {name} = '{limit}'"))
            await connection.commit()
            return await connection.run_sync(_upgrade, revision, within=False)
        except PendingRollbackError as error:
            # Of a connection that broke, alembic tells what it could not do after that.
            raise error.__context__ or error from None
        finally:
            # The guard and the limits end with it.
            await connection.invalidate()


async def take_guard(connection: AsyncConnection) -> None:
    """Let nobody else migrate until the transaction ends. Raises Conflict after a minute."""
    await _take(connection, "pg_try_advisory_xact_lock")


async def _take(connection: AsyncConnection, function: str) -> None:
    free = text(f"select {function}(:key)")
    try:
        async with asyncio.timeout(GUARD_WAIT_SECONDS):
            while not await connection.scalar(free, {"key": _GUARD}):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise Conflict("Another manager has been migrating for a minute; try again.") from error


async def upgrade_within(connection: AsyncConnection, revision: str = "head") -> list[str]:
    """As `upgrade`, up to `revision`, in a transaction that has the guard and its own limits."""
    return await connection.run_sync(_upgrade, revision, within=True)


async def drop_tables(connection: AsyncConnection) -> None:
    """Drop all that the migrations made, in the caller's transaction.

    What others have built upon it makes this fail.
    """
    tables = ", ".join(f'"{name}"' for name in (*metadata.tables, "alembic_version"))
    await connection.execute(text(f"DROP VIEW IF EXISTS {', '.join(VIEWS)}"))
    await connection.execute(text(f"DROP TABLE IF EXISTS {tables}"))
    for function in FUNCTIONS:
        await connection.execute(text(f"DROP FUNCTION IF EXISTS {function}()"))


def known_revisions() -> list[str]:
    """Of this release, oldest first."""
    found = ScriptDirectory.from_config(_config()).walk_revisions()
    return [revision.revision for revision in reversed(list(found))]


def head_revision() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _upgrade(connection: Connection, revision: str, *, within: bool) -> list[str]:
    config = _config()
    config.attributes.update({"connection": connection, WITHIN: within})
    before = _current(connection)
    _refuse_later(before)
    if not within:
        connection.commit()
    command.upgrade(config, revision)
    revisions = ScriptDirectory.from_config(config).iterate_revisions(revision, before or "base")
    return [each.revision for each in reversed(list(revisions))]


def _refuse_later(before: str | None) -> None:
    if before is not None and before > REVISION:
        raise Conflict(
            f"The database is at revision {before}, of a later release than this one ({REVISION}): "
            "upgrade it with that release's program."
        )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
