"""The events of sessions in order, from the outbox: hints wake it, rows by id feed it."""

import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.events import EventName
from backendai.common.lifecycle import SESSION_FINAL, SessionStatus
from backendai.common.loops import sleep_or_hint
from backendai.manager.apps.store import list_welcome
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Scope
from backendai.manager.lifecycle.changes import HINT_OUTBOX, session_hint
from backendai.manager.lifecycle.hints import HintBoard
from backendai.manager.sessions.store import scope_conditions

BATCH: Final = 200
PERIOD_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 15.0
# Of many sessions something happens all the time: each reader looks no oftener than this.
GATHER_SECONDS: Final = 1.0
# Until who asks is looked at anew, with all that a request is judged by.
LIFE_SECONDS: Final = 60.0
# By when a transaction that has taken an id has committed.
LATE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class News:
    """One event; `id` grows."""

    id: int
    name: str
    data: Mapping[str, Any]


class EventFeed:
    def __init__(self, database: Database, board: HintBoard, clock: Clock) -> None:
        self._database = database
        self._board = board
        self._clock = clock

    async def last_id(self, session_id: uuid.UUID) -> int:
        """The id of the session's newest event; 0 without one.

        Ids grow in the order of commits within one session only: beyond the newest of another
        there may be some that this one has not committed yet.
        """
        newest = sa.select(sa.func.max(t.outbox.c.id)).where(t.outbox.c.session_id == session_id)
        async with self._database.begin() as connection:
            return int(await connection.scalar(newest) or 0)

    async def follow(self, session_id: uuid.UUID, after: int) -> AsyncGenerator[News | None, None]:
        """Events with an id above `after`, for as long as the session lives; None is a heartbeat.

        Ends when the session is final and everything about it was told.
        """
        quiet_since = self._clock.monotonic()
        with self._board.watch(session_hint(session_id)) as wake:
            while True:
                async with self._database.begin() as connection:
                    # The status first: what makes it final is committed with its events.
                    is_final = await _is_final(connection, session_id)
                    news = await _load(connection, session_id, after)
                for each in news:
                    yield each
                    after, quiet_since = each.id, self._clock.monotonic()
                if len(news) == BATCH:
                    continue
                if is_final:
                    return
                if self._clock.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                    yield None
                    quiet_since = self._clock.monotonic()
                await sleep_or_hint(self._clock, PERIOD_SECONDS, wake)

    async def follow_all(
        self, scope: Scope, after: int | None, access_key: str
    ) -> AsyncGenerator[News | None, None]:
        """Events of all sessions within `scope` from now on, or with ids above `after`; None is a
        heartbeat. Ends when `access_key` may not be used any more, and after LIFE_SECONDS: who asks
        on may see more or less by then.

        Ids of different sessions are not committed in their order: what comes late is told late.
        """
        told: set[int] = set()
        async with self._database.begin() as connection:
            floor = await _floor(connection)
            if after is None:
                told.update(each.id for each in await _load_all(connection, scope, floor, told))
        floor = floor if after is None else after
        quiet_since = self._clock.monotonic()
        until = quiet_since + LIFE_SECONDS
        with self._board.watch(HINT_OUTBOX) as wake:
            while self._clock.monotonic() < until:
                async with self._database.begin() as connection:
                    if not await list_welcome(connection, [access_key]):
                        return
                    settled = await _floor(connection)
                    news = await _load_all(connection, scope, floor, told)
                for each in news:
                    yield each
                    told.add(each.id)
                    quiet_since = self._clock.monotonic()
                is_full = len(news) == BATCH
                floor = max(floor, min(settled, news[-1].id) if is_full else settled)
                if is_full:
                    continue
                told = {each for each in told if each > floor}
                if self._clock.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                    yield None
                    quiet_since = self._clock.monotonic()
                await self._clock.sleep(GATHER_SECONDS)
                await sleep_or_hint(self._clock, PERIOD_SECONDS, wake)


def is_in_scope(name: str, scope: str) -> bool:
    """Whether an event belongs to what a reader asked for: `*`, `session` or `kernel`."""
    if scope == "*":
        return True
    is_of_kernel = name in {event.value for event in EventName if event.is_of_kernel}
    return is_of_kernel if scope == "kernel" else not is_of_kernel


async def _is_final(connection: AsyncConnection, session_id: uuid.UUID) -> bool:
    statement = sa.select(t.sessions.c.status).where(t.sessions.c.id == session_id)
    status = await connection.scalar(statement)
    return status is None or SessionStatus(status) in SESSION_FINAL


async def _load(connection: AsyncConnection, session_id: uuid.UUID, after: int) -> list[News]:
    found = await connection.execute(
        sa.select(t.outbox.c.id, t.outbox.c.name, t.outbox.c.payload)
        .where(t.outbox.c.session_id == session_id, t.outbox.c.id > after)
        .order_by(t.outbox.c.id)
        .limit(BATCH)
    )
    return [News(row.id, row.name, row.payload) for row in found]


async def _floor(connection: AsyncConnection) -> int:
    """An id below which nothing can be committed any more."""
    settled = t.outbox.c.created_at < sa.func.now() - LATE
    newest = sa.select(t.outbox.c.id).where(settled).order_by(t.outbox.c.id.desc()).limit(1)
    return int(await connection.scalar(newest) or 0)


async def _load_all(
    connection: AsyncConnection, scope: Scope, floor: int, told: set[int]
) -> list[News]:
    """Events above `floor` that were not told, at most a batch of them."""
    found = await connection.execute(
        sa.select(t.outbox.c.id, t.outbox.c.name, t.outbox.c.payload)
        .select_from(t.outbox.join(t.sessions, t.sessions.c.id == t.outbox.c.session_id))
        .where(t.outbox.c.id > floor, *scope_conditions(scope))
        .order_by(t.outbox.c.id)
        .limit(BATCH + len(told))
    )
    news = [News(row.id, row.name, row.payload) for row in found if row.id not in told]
    return news[:BATCH]
