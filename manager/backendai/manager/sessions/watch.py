"""Waits until a session has come somewhere: hints say when to look, the period covers lost ones."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import sqlalchemy as sa

from backendai.common.clock import Clock
from backendai.common.faults import SessionNotFound
from backendai.common.lifecycle import SessionStatus
from backendai.common.loops import Wake, sleep_or_hint
from backendai.manager.db.engine import Database
from backendai.manager.db.tables import sessions
from backendai.manager.lifecycle.changes import status_hint
from backendai.manager.lifecycle.hints import HintBoard

PERIOD_SECONDS: Final = 2.0
# The first look comes a little later: what changes in between is told by a hint, except where that
# came before there was anybody to hear it.
FIRST_LOOK_SECONDS: Final = 0.1


class SessionWatch:
    """One query per hint, not per tick, however long the wait is."""

    def __init__(self, database: Database, board: HintBoard, clock: Clock) -> None:
        self._database = database
        self._board = board
        self._clock = clock
        self._waiting: set[Wake] = set()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    async def end_all(self, _: object = None) -> None:
        """Nobody waits any more, as when the time is over: this manager stops."""
        self._is_over = True
        for wake in self._waiting:
            wake.hint()

    async def wait(
        self,
        session_id: uuid.UUID,
        is_done: Callable[[SessionStatus], bool],
        timeout_seconds: float,
    ) -> SessionStatus | None:
        """The status that `is_done` accepts; None when the time or all waiting is over.

        For a session that was seen a moment ago in a status that is not accepted.
        """
        ends_at = self._clock.monotonic() + timeout_seconds
        wake = Wake()
        with ExitStack() as watches:
            # Only news of what is waited for wakes: the steps before it would each cost a query.
            for status in filter(is_done, SessionStatus):
                watches.enter_context(self._board.watch(status_hint(session_id, status), wake))
            watches.enter_context(self._held(wake))
            pause = FIRST_LOOK_SECONDS
            while True:
                left = ends_at - self._clock.monotonic()
                await sleep_or_hint(self._clock, max(0.0, min(left, pause)), wake)
                status = await self._status_of(session_id)
                if is_done(status):
                    return status
                if self._is_over or self._clock.monotonic() >= ends_at:
                    return None
                pause = PERIOD_SECONDS

    @contextmanager
    def _held(self, wake: Wake) -> Iterator[None]:
        self._waiting.add(wake)
        try:
            yield
        finally:
            self._waiting.discard(wake)

    async def _status_of(self, session_id: uuid.UUID) -> SessionStatus:
        statement = sa.select(sessions.c.status).where(sessions.c.id == session_id)
        text = await self._database.read(lambda connection: connection.scalar(statement))
        if text is None:
            raise SessionNotFound
        return SessionStatus(text)
