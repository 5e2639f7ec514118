"""Tells a Postgres that has fallen silent (stopped, cut off) from a slow query, and lets nobody
wait for it: connections are dropped and new ones refused until it answers again.

One that refuses connections is told at once without this.
"""

import asyncio
from typing import Any, Final
from weakref import WeakSet

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from backendai.common.logs import get_logger

log = get_logger(__name__)

LOOK_SECONDS: Final = 1.0
# Longer than any pause of a healthy server that is asked for nothing, even on a busy machine.
SILENCE_SECONDS: Final = 3.0
# More than the steps in which a connection is opened and a question answered.
_TURNS: Final = 30


class Pulse:
    """Asks over a connection of its own; `look` is the step of a loop."""

    def __init__(self, engine: AsyncEngine, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._dsn = engine.url.set(drivername="postgresql").render_as_string(False)
        self._open: WeakSet[Any] = WeakSet()
        self._own: asyncpg.Connection | None = None
        self.is_silent = False
        event.listen(engine.sync_engine, "do_connect", self._refuse_when_silent)
        event.listen(engine.sync_engine, "connect", self._note_connection)

    async def look(self) -> None:
        asked = asyncio.create_task(self._ask(), name="pulse.ask")
        try:
            await self._listen(asked)
            self._judge(is_silent=not asked.done())
        finally:
            if not asked.done():
                self._drop_own()
                asked.cancel()
                await asyncio.wait([asked])
        if not asked.cancelled():
            asked.result()

    async def close(self) -> None:
        self._drop_own()

    async def _listen(self, asked: "asyncio.Task[None]") -> None:
        """Only time in which this process could hear an answer counts: one that is busy for a
        minute has waited for one turn.
        """
        for _ in range(_TURNS):
            await asyncio.wait([asked], timeout=self._silence_seconds / _TURNS)
            if asked.done():
                return

    async def _ask(self) -> None:
        try:
            if self._own is None or self._own.is_closed():
                self._own = await asyncpg.connect(self._dsn, timeout=SILENCE_SECONDS * 2)
            await self._own.execute("select 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # A refusal is an answer too; those who work find out by themselves.
            log.debug("database.refuses", cause=repr(error))
            self._drop_own()

    def _judge(self, *, is_silent: bool) -> None:
        if is_silent and not self.is_silent:
            log.error("database.silent", seconds=self._silence_seconds)
        elif self.is_silent and not is_silent:
            log.info("database.answers")
        self.is_silent = is_silent
        if is_silent:
            for connection in list(self._open):
                connection.terminate()

    def _drop_own(self) -> None:
        if self._own is not None:
            self._own.terminate()
            self._own = None

    def _refuse_when_silent(self, *_connect: Any) -> None:
        if self.is_silent:
            raise ConnectionError("PostgreSQL does not answer")

    def _note_connection(self, connection: Any, _record: Any) -> None:
        self._open.add(connection.driver_connection)
