"""Background tasks: long work of the server, whose progress one may watch."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from backendai.client.channel import Call, Channel, decode, path_of
from backendai.client.events import follow_messages

DONE: Final = "done"
_UPDATED: Final = "bgtask_updated"
_PREFIX: Final = "bgtask_"


class Task(msgspec.Struct, frozen=True):
    """`status` is started, done, failed or cancelled; `current_progress` of `total_progress` steps
    are done, of 0 while nobody knows."""

    task_id: str
    status: str
    message: str
    current_progress: int
    total_progress: int
    name: str = ""
    created_at: str = ""


class TaskPage(msgspec.Struct, frozen=True):
    """`total_count` is of all pages."""

    items: tuple[Task, ...]
    total_count: int


class TaskNews(msgspec.Struct, frozen=True):
    """How far a task is or, with a `status` other than started, how it ended."""

    message: str
    current_progress: int = 0
    total_progress: int = 0
    status: str = "started"


class Tasks:
    """One's own tasks; a superadmin's are everybody's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, *, limit: int = 20, offset: int = 0) -> TaskPage:
        """The newest first; at most 100 at once."""
        query = {"limit": str(limit), "offset": str(offset)}
        call = Call(method="GET", path="/background-tasks", query=query, repeatable=True)
        return await self._channel.ask_for(TaskPage, call)

    async def cancel(self, task_id: str) -> None:
        """One that is over stays as it is."""
        path = path_of("background-tasks", task_id)
        await self._channel.ask(Call(method="DELETE", path=path, repeatable=True))

    async def follow(self, task_id: str) -> AsyncGenerator[TaskNews, None]:
        """News from now on, through reconnections; the last one says how it ended."""
        call = Call(
            method="GET",
            path="/events/background-task",
            query={"task_id": task_id},
            content_type="",
            timeout_seconds=None,
        )
        messages = follow_messages(self._channel, lambda _last_id: call)
        async with aclosing(messages):
            async for message in messages:
                news = decode(TaskNews, (message.data or "{}").encode())
                is_over = message.event != _UPDATED
                status = message.event.removeprefix(_PREFIX) if is_over else news.status
                yield msgspec.structs.replace(news, status=status)
