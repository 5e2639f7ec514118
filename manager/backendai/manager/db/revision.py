"""Which revision of the tables this release works with, and which one a database has.

Asked at each start, and so without Alembic, whose import costs as much as the rest of it.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .engine import Database

REVISION: Final = "0017"


async def current_revision(database: Database) -> str | None:
    """None when the database has never been upgraded."""
    async with database.begin() as connection:
        return await read_revision(connection)


async def read_revision(connection: AsyncConnection) -> str | None:
    """As `current_revision`, seen by a transaction."""
    if await connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    found = await connection.scalar(text("select version_num from alembic_version"))
    return None if found is None else str(found)
