"""The tables of the database: read as they were at one moment, and filled again.

Rows travel as the text of COPY, which any release of the server reads; none is held in memory
beyond a chunk.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db.tables import metadata

from .model import CHUNK_BYTES, BackupRefused, Counter, TableEntry, chunk_names

Add = Callable[[str, bytes], None]

# Who holds which work and which routes at the moment; nothing of it is true later.
LEFT_OUT: Final = frozenset({"circuits", "leases", "managers", "permits"})
_ALL: Final = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
# The same text whatever the server's own settings are.
_PLAIN: Final = (
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
_MANAGERS: Final = """
SELECT DISTINCT substr(application_name, 9) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'manager:%' ORDER BY 1
"""
_SET_COUNTER: Final = sa.text(
    "SELECT setval(CAST(pg_get_serial_sequence(:name, :column) AS regclass), :last, :is_used)"
)


def list_tables() -> list[sa.Table]:
    """Those that an archive holds, each after all that it refers to."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


async def hold_still(conn: AsyncConnection) -> datetime:
    """Let a new transaction see one moment, which is returned, and nobody change the tables."""
    await _run(
        conn,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "SET LOCAL lock_timeout = '30s'",
        *_PLAIN,
        f"LOCK TABLE alembic_version, {_ALL} IN ACCESS SHARE MODE",
    )
    moment: datetime = (await conn.execute(sa.text("SELECT clock_timestamp()"))).scalar_one()
    return moment


async def copy_out(conn: AsyncConnection, table: sa.Table, add: Add) -> TableEntry:
    """Hand the rows of a table to `add` in members of some MiB."""
    chunks = _Chunks(table.name, add)
    columns = [str(column.name) for column in table.columns]
    done = await (await _driver(conn)).copy_from_table(
        table.name, columns=columns, output=chunks.take
    )
    chunks.flush()
    counters = {
        str(column.name): await _read_counter(conn, table.name, column.name)
        for column in table.columns
        if column.identity is not None
    }
    return TableEntry(str(table.name), columns, _count_of(done), chunks.count, counters)


async def list_managers(conn: AsyncConnection) -> list[str]:
    """The ids of managers that are connected to the database."""
    return list(await conn.scalars(sa.text(_MANAGERS)))


async def speak_plainly(conn: AsyncConnection) -> None:
    """Let the transaction read text as `hold_still` lets it be written."""
    await _run(conn, *_PLAIN)


async def take_over(conn: AsyncConnection) -> None:
    """Let nobody else read or write the tables until the transaction ends."""
    await _run(
        conn,
        "SET LOCAL lock_timeout = '10s'",
        f"LOCK TABLE alembic_version, {_ALL} IN ACCESS EXCLUSIVE MODE",
    )


async def list_filled(conn: AsyncConnection) -> list[str]:
    """The tables that have rows."""
    asked = (
        f"SELECT '{table.name}' WHERE EXISTS (SELECT FROM \"{table.name}\")"  # noqa: S608
        for table in list_tables()
    )
    return list(await conn.scalars(sa.text(" UNION ALL ".join(asked))))


async def clear(conn: AsyncConnection) -> None:
    """Not by deletes: these would leave records of usage."""
    await _run(conn, f"TRUNCATE {_ALL} RESTART IDENTITY")


async def copy_in(
    conn: AsyncConnection, entry: TableEntry, chunks: Iterator[tuple[str, bytes]]
) -> None:
    """Fill an empty table with its share of `chunks`. Raises BackupRefused when rows miss."""
    done = await (await _driver(conn)).copy_to_table(
        entry.name, columns=entry.columns, source=_take(entry, chunks)
    )
    if _count_of(done) != entry.rows:
        raise BackupRefused(f"The archive has {_count_of(done)} rows of {entry.name}, not all.")
    for column, counter in entry.counters.items():
        await conn.execute(
            _SET_COUNTER,
            {
                "name": entry.name,
                "column": column,
                "last": counter.last,
                "is_used": counter.is_used,
            },
        )


async def measure(conn: AsyncConnection) -> None:
    """Let the server count what is new, so that its first plans are good ones."""
    await _run(conn, f"ANALYZE {_ALL}")


class _Chunks:
    """Gathers what comes in small pieces."""

    def __init__(self, table: str, add: Add) -> None:
        self.count = 0
        self._table = table
        self._add = add
        self._rest = bytearray()

    async def take(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= CHUNK_BYTES:
            self._put(CHUNK_BYTES)

    def flush(self) -> None:
        if self._rest:
            self._put(len(self._rest))

    def _put(self, size: int) -> None:
        self.count += 1
        *_, name = chunk_names(self._table, self.count)
        self._add(name, bytes(self._rest[:size]))
        del self._rest[:size]


async def _take(entry: TableEntry, chunks: Iterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    for due in chunk_names(entry.name, entry.chunks):
        name, data = next(chunks, ("", b""))
        if name != due:
            raise BackupRefused(f"The archive has {name or 'its end'} where {due} should be.")
        yield data


async def _read_counter(conn: AsyncConnection, table: str, column: str) -> Counter:
    asked = sa.text("SELECT pg_get_serial_sequence(:name, :column)")
    sequence = await conn.scalar(asked, {"name": table, "column": column})
    found = await conn.execute(sa.text(f"SELECT last_value, is_called FROM {sequence}"))  # noqa: S608
    return Counter(*found.one())


async def _run(conn: AsyncConnection, *statements: str) -> None:
    for statement in statements:
        await conn.execute(sa.text(statement))


async def _driver(conn: AsyncConnection) -> Any:
    """The driver's own connection, inside the transaction of `conn`."""
    return (await conn.get_raw_connection()).driver_connection


def _count_of(done: str) -> int:
    """Of what the server answers to a COPY, such as `COPY 12`."""
    return int(done.rpartition(" ")[2])
