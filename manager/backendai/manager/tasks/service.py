"""Looking at background tasks and ending them: one's own, a superadmin everybody's."""

import uuid
from collections.abc import AsyncGenerator
from typing import Final

from backendai.common.clock import Clock
from backendai.common.faults import TaskNotFound
from backendai.common.loops import sleep_or_hint
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, user_scope
from backendai.manager.lifecycle.hints import HintBoard

from . import store
from .model import Task, task_hint

PERIOD_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 15.0


class Tasks:
    def __init__(self, database: Database, board: HintBoard, clock: Clock) -> None:
        self._database = database
        self._board = board
        self._clock = clock

    async def get(self, actor: Actor, task_id: uuid.UUID) -> Task:
        """Raises TaskNotFound."""
        scope = user_scope(actor)
        return await self._database.read(lambda conn: store.get_task(conn, scope, task_id))

    async def page(self, actor: Actor, limit: int, offset: int) -> tuple[list[Task], int]:
        scope = user_scope(actor)
        return await self._database.read(lambda conn: store.list_tasks(conn, scope, limit, offset))

    async def cancel(self, actor: Actor, task_id: uuid.UUID) -> None:
        """Doing it again, or when it is over, is right. Raises TaskNotFound."""
        scope = user_scope(actor)
        await self._database.transact(lambda conn: store.cancel_task(conn, scope, task_id))

    async def follow(self, actor: Actor, task_id: uuid.UUID) -> AsyncGenerator[Task | None, None]:
        """The task now and after each change until it is over or gone; None is a heartbeat."""
        last: Task | None = None
        quiet_since = self._clock.monotonic()
        with self._board.watch(task_hint(task_id)) as wake:
            while last is None or not last.status.is_final:
                try:
                    task = await self.get(actor, task_id)
                except TaskNotFound:
                    return
                if task != last:
                    yield task
                    last, quiet_since = task, self._clock.monotonic()
                    continue
                if self._clock.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                    yield None
                    quiet_since = self._clock.monotonic()
                await sleep_or_hint(self._clock, PERIOD_SECONDS, wake)
