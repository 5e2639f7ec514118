"""Tasks that nobody waits for: all in one group, so that one that breaks ends the daemon."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Errands:
    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None], *, name: str | None = None) -> None:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def running_errands() -> AsyncIterator[Errands]:
    """They run as long as the context is open. One that breaks ends its body."""
    async with asyncio.TaskGroup() as group:
        errands = Errands(group)
        try:
            yield errands
        finally:
            errands.cancel_all()
