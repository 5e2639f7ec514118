"""A background task as a value, and what the work of one is. Pure."""

import enum
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

# A task that waits, or is no longer wanted.
HINT_TASKS: Final = "tasks"


class TaskStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`current` of `total` steps are done; `total` is 0 while nobody knows. `message` says what it
    does now or, once it is over, how it ended."""

    id: uuid.UUID
    name: str
    params: Mapping[str, Any]
    user_id: uuid.UUID
    status: TaskStatus
    current: int
    total: int
    message: str
    created_at: datetime
    ended_at: datetime | None


class Progress(Protocol):
    """How the work of a task tells how far it is. It never fails."""

    async def tell(self, *, done: int = 0, more: int = 0, message: str | None = None) -> None:
        """`done` further steps are over; `more` have come to light."""
        ...


# Takes the task's parameters; gives the sentence that it ends with. A Fault fails the task.
TaskWork = Callable[[Mapping[str, Any], Progress], Awaitable[str]]


def task_hint(task_id: uuid.UUID) -> str:
    """The topic of news about one task."""
    return f"task:{task_id}"
