"""Runs background tasks: takes those that wait, and says while it works that it is alive.

A task of a manager that died is failed by the next one that looks, or begun again where its work
says that this is right.
"""

import asyncio
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from backendai.common.clock import Clock
from backendai.common.faults import Fault, StoreUnavailable
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.hints import HintBoard

from . import store
from .model import HINT_TASKS, Task, TaskStatus, TaskWork
from .saving import save_surely

log = get_logger(__name__)

LOOK_SECONDS: Final = 3.0
TELL_SECONDS: Final = 0.2
STOP_SECONDS: Final = 2.0
# They mostly wait for others.
RUNNING_MAX: Final = 16
CANCELLED: Final = "It was cancelled."
UNEXPECTED: Final = "It failed unexpectedly; the log of the manager says why."


class TaskRunner:
    """`works` says what to do for which name, those in `resumed` also a second time; `holder` names
    this life of this manager."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        holder: str,
        works: Mapping[str, TaskWork],
        resumed: Collection[str] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._holder = holder
        self._works = works
        self._resumed = tuple(resumed)
        self._running: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._unwanted: set[uuid.UUID] = set()

    async def run(self, board: HintBoard, health: LoopHealth) -> None:
        """For ever. What runs when it is cancelled is failed, or left to another manager."""
        with board.watch(HINT_TASKS) as wake:
            async with asyncio.TaskGroup() as group:
                await supervise(
                    "tasks",
                    lambda: self._look(group),
                    period_seconds=LOOK_SECONDS,
                    clock=self._clock,
                    wake=wake,
                    health=health,
                )

    async def _look(self, group: asyncio.TaskGroup) -> None:
        await self._beat()
        room = RUNNING_MAX - len(self._running)
        for task in await self._claim(room) if room > 0 else ():
            log.info("task.started", task=str(task.id), name=task.name)
            name = f"task:{task.id}"
            self._running[task.id] = group.create_task(self._work_on(task), name=name)
        await self._database.transact(lambda conn: store.sweep_tasks(conn, self._resumed))

    async def _claim(self, room: int) -> list[Task]:
        """Not what still ends here, though others took it for dead and let it wait again."""
        names, ending = sorted(self._works), list(self._running)
        return await self._database.transact(
            lambda conn: store.claim_tasks(conn, self._holder, names, room, ending)
        )

    async def _beat(self) -> None:
        """Stops what nobody wants any more, and what was taken for dead."""
        ids = list(self._running)
        if not ids:
            return
        wanted = await self._database.transact(lambda conn: store.beat(conn, self._holder, ids))
        for task_id in ids:
            if not wanted.get(task_id, False) and task_id in self._running:
                self._unwanted.add(task_id)
                self._running[task_id].cancel()

    async def _work_on(self, task: Task) -> None:
        try:
            status, message = await self._outcome_of(task)
            await self._end(task, status, message)
        except asyncio.CancelledError:
            if task.id not in self._unwanted:
                await self._leave_in_time(task)
                raise
            await self._end(task, TaskStatus.CANCELLED, CANCELLED)
        finally:
            del self._running[task.id]
            self._unwanted.discard(task.id)

    async def _outcome_of(self, task: Task) -> tuple[TaskStatus, str]:
        told = _Told(self._database, self._clock, self._holder, task.id)
        try:
            message = await self._works[task.name](task.params, told)
            await told.flush()
        except Fault as fault:
            return TaskStatus.FAILED, str(fault)
        except Exception as error:
            # As with a request: a bug in one task ends that task, and the log has the trace.
            log.crash("task.broken", error, task=str(task.id), name=task.name)
            return TaskStatus.FAILED, UNEXPECTED
        return TaskStatus.DONE, message

    async def _end(self, task: Task, status: TaskStatus, message: str) -> None:
        """Tried until the database is back: the task is this manager's until then."""
        await save_surely(
            self._database,
            self._clock,
            lambda conn: store.end_task(conn, self._holder, task.id, status, message),
            task=str(task.id),
        )
        log.info("task.ended", task=str(task.id), name=task.name, status=status.value)

    async def _leave_in_time(self, task: Task) -> None:
        """For a manager that stops; without the time for it, silence tells the same later."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if task.name in self._resumed:
                    await self._release(task)
                else:
                    await self._end(task, TaskStatus.FAILED, store.STOPPED)
        except (TimeoutError, StoreUnavailable):
            log.warning("task.end_not_saved", task=str(task.id), detail="no time left")

    async def _release(self, task: Task) -> None:
        await self._database.transact(lambda conn: store.release_task(conn, self._holder, task.id))
        log.info("task.released", task=str(task.id), name=task.name)


class _Told:
    """Progress that is written now and then, however often it is told."""

    def __init__(self, database: Database, clock: Clock, holder: str, task_id: uuid.UUID) -> None:
        self._database = database
        self._clock = clock
        self._holder = holder
        self._task_id = task_id
        self._values: dict[str, Any] = {"current": 0, "total": 0, "message": ""}
        self._is_saved = True
        self._saved_at = float("-inf")

    async def tell(self, *, done: int = 0, more: int = 0, message: str | None = None) -> None:
        self._values["current"] += done
        self._values["total"] += more
        if message is not None:
            self._values["message"] = message[: store.MESSAGE_CHARS_MAX]
        self._is_saved = False
        if self._clock.monotonic() - self._saved_at >= TELL_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """What cannot be saved now is told later: no work fails because nobody can watch it."""
        if self._is_saved:
            return
        self._is_saved, self._saved_at = True, self._clock.monotonic()
        values = dict(self._values)
        try:
            await self._database.transact(
                lambda conn: store.save_progress(conn, self._holder, self._task_id, values)
            )
        except StoreUnavailable as fault:
            self._is_saved = False
            log.info("task.progress_not_saved", task=str(self._task_id), detail=fault.detail)
