"""Which revision of the tables this release works with, and which one a database has.

A release runs on the tables of a later one while that one says so, which is what lets daemons be
upgraded one after the other, and be rolled back. Asked at each start, and so without Alembic, whose
import costs as much as the rest of it.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .engine import Database

REVISION: Final = "0020"
# The oldest release that works with these tables: that of this revision. Move it when a migration
# takes away or changes the meaning of what that one uses.
OLDEST: Final = "0017"
# Kept as a remark on Alembic's own table, which releases before it do not mind.
_READ: Final = (
    "select version_num, obj_description('alembic_version'::regclass) from alembic_version"
)
_UPGRADE: Final = "run `backendai mgr schema upgrade`"
_REMARK: Final = "works with releases from "


@dataclass(frozen=True, slots=True)
class Schema:
    """Of a database: its revision, and that of the oldest release which works with it."""

    revision: str
    oldest: str

    def serves(self, release: str) -> bool:
        """Whether a release of that revision works with it."""
        return self.oldest <= release <= self.revision


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a release does not work with a database, and what to do about it."""

    told: str
    fix: str


def find_misfit(schema: Schema | None, release: str) -> Misfit | None:
    """None where a release of that revision works with what a database has."""
    if schema is None:
        return Misfit(f"the database is empty, this release needs revision {release}", _UPGRADE)
    if schema.serves(release):
        return None
    if schema.revision > release:
        told = (
            f"revision {schema.revision}, for releases from {schema.oldest} on; this is {release}"
        )
        return Misfit(f"the database is at {told}", "install the release that the database is of")
    told = f"the database is at revision {schema.revision}, this release needs {release}"
    return Misfit(told, _UPGRADE)


async def current_schema(database: Database) -> Schema | None:
    """None when the database has never been upgraded."""
    async with database.begin() as connection:
        return await read_schema(connection)


async def read_schema(connection: AsyncConnection) -> Schema | None:
    """As `current_schema`, seen by a transaction."""
    if await connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    found = (await connection.execute(text(_READ))).first()
    if found is None:
        return None
    revision, remark = str(found[0]), str(found[1] or "")
    told = remark.removeprefix(_REMARK)
    return Schema(revision, told if told != remark else revision)


def make_remark(revision: str) -> str:
    """The statement that notes what works with tables of `revision`."""
    oldest = min(OLDEST, revision)
    return f"comment on table alembic_version is '{_REMARK}{oldest}'"
