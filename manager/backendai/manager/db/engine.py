"""Connections to Postgres: whole transactions, retried only where nothing can have happened twice.

An outage is `StoreUnavailable` (503, ask again), never an unexpected exception.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backendai.common.faults import (
    StoreCrowded,
    StoreFull,
    StoreOutOfMemory,
    StoreUnavailable,
)
from backendai.common.settings.sections import DbSettings

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

ATTEMPTS_MAX: Final = 3
CONNECT_TIMEOUT_SECONDS: Final = 5.0
# A manager that is stopped, frozen or cut off amid a transaction keeps its rows from the others no
# longer than this; one that lives never lets a transaction wait so long.
IDLE_TRANSACTION_SECONDS: Final = 10.0
# Of one sort: enough for the keys of a list of a hundred thousand.
SORT_MEMORY: Final = "16MB"

# Nothing of the transaction was kept: doing it again is right.
_SERIALISATION: Final = frozenset({"40001", "40P01"})
# Too busy, shutting down, starting up, out of space or of connections: the caller may ask again.
_OUTAGE_CLASSES: Final = ("08", "53", "55", "57", "58")
_EXHAUSTED: Final[Mapping[str, type[StoreUnavailable]]] = {
    "53100": StoreFull,
    "53200": StoreOutOfMemory,
    "53300": StoreCrowded,
}
_TOLD: Final[Mapping[type[StoreUnavailable], str]] = {
    StoreFull: "Nothing can be written before an administrator frees space for the database.",
    StoreOutOfMemory: "The database could not do this; try again in a moment.",
    StoreCrowded: "Too much is asked of the database at once; try again in a moment.",
}


class Database:
    """The pool of one daemon. `transact` runs a unit of work, `read` statements that stand alone,
    `put` one such that writes, `begin` opens a plain transaction.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def transact(self, work: Work[T]) -> T:
        """`work(connection)` in one transaction, committed when it returns.

        Serialisation and connect failures run the whole of `work` again, at most three times in
        all. A connection that breaks during COMMIT is never retried: it may have been kept.
        Raises StoreUnavailable, and whatever `work` raises.
        """
        return await self._repeat(lambda: self._attempt(work))

    async def read(self, work: Work[T]) -> T:
        """`work(connection)` with each statement for itself: the round trips of BEGIN and COMMIT
        are saved, and each statement sees its own moment, as it does in `transact`.

        Retried and raises as `transact`.
        """
        return await self._repeat(lambda: self._attempt_single(work))

    async def put(self, statement: Work[T]) -> T:
        """As `read`, for one statement that writes, and may be executed twice: the connection may
        break when it was kept."""
        return await self._repeat(lambda: self._attempt_single(statement))

    async def _repeat(self, attempt_once: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await attempt_once()
            except _Again as again:
                if attempt == ATTEMPTS_MAX:
                    raise unavailable(again.cause) from again.cause
            # Spread, so that those who clashed do not clash again; nothing secret.
            await asyncio.sleep(random.uniform(0.005, 0.03) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction without retries, for reads and for work that holds other state."""
        async with self.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """As `begin`, for work that has transactions of its own."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except Exception as error:
            if is_outage(error) or is_serialisation(error):
                raise unavailable(error) from error
            raise

    async def close(self) -> None:
        await self.engine.dispose()

    async def _attempt(self, work: Work[T]) -> T:
        done: list[T] = []
        try:
            async with self.engine.connect() as connection:
                done.append(await work(connection))
                await connection.commit()
        except Exception as error:
            if is_serialisation(error):
                raise _Again(error) from error
            if is_outage(error):
                if not done and is_disconnect(error):
                    raise _Again(error) from error
                raise unavailable(error) from error
            raise
        return done[0]

    async def _attempt_single(self, work: Work[T]) -> T:
        try:
            async with self._autocommit.connect() as connection:
                return await work(connection)
        except Exception as error:
            if is_serialisation(error) or is_disconnect(error):
                raise _Again(error) from error
            if is_outage(error):
                raise unavailable(error) from error
            raise


class _Again(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def open_database(settings: DbSettings, application: str) -> Database:
    """A lazy pool: nothing connects until the first query."""
    engine = create_async_engine(
        database_url(settings),
        pool_size=settings.pool_size,
        # A connection over the top would be closed after one use, and its process with it.
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
        # The connection that was used last has the statements prepared that come next.
        pool_use_lifo=True,
        pool_reset_on_return="rollback",
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": settings.statement_timeout,
            "server_settings": {
                "application_name": application,
                "timezone": "UTC",
                "jit": "off",
                "work_mem": SORT_MEMORY,
                "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS * 1000:.0f}",
            },
        },
    )
    return Database(engine)


def database_url(settings: DbSettings) -> URL:
    return URL.create(
        "postgresql+asyncpg",
        settings.user,
        settings.password or None,
        settings.addr.host,
        settings.addr.port,
        settings.name,
    )


def unavailable(error: BaseException) -> StoreUnavailable:
    """The fault that tells of an outage; what ran out has one of its own."""
    leaf = StoreCrowded if isinstance(error, PoolTimeout) else _EXHAUSTED.get(_sqlstate(error))
    if leaf is None:
        return StoreUnavailable("The database cannot be reached now; try again in a moment.")
    return leaf(_TOLD[leaf])


def is_serialisation(error: BaseException) -> bool:
    return _sqlstate(error) in _SERIALISATION


def is_disconnect(error: BaseException) -> bool:
    """Whether the connection itself failed, so that an open transaction is surely gone."""
    if isinstance(error, DBAPIError):
        state = _sqlstate(error)
        return error.connection_invalidated or state.startswith("08") or state == "57P03"
    return isinstance(error, OSError)


def is_outage(error: BaseException) -> bool:
    """Whether `error` says that the database is away or too busy, not that the query is wrong."""
    if isinstance(error, PoolTimeout | OSError | TimeoutError):
        return True
    state = _sqlstate(error)
    if state:
        return state.startswith(_OUTAGE_CLASSES)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(
            error.orig.__cause__ if error.orig else None,
            OSError | TimeoutError | asyncpg.InterfaceError,
        )
    return isinstance(error, InterfaceError | asyncpg.InterfaceError)


def _sqlstate(error: Any) -> str:
    """The five-character state of a failure, or ""."""
    for candidate in (error, getattr(error, "orig", None)):
        state = getattr(candidate, "sqlstate", None)
        if isinstance(state, str):
            return state
    return ""
