"""REST of background tasks: their events as they come, a list, and their cancellation."""

import contextlib
import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.faults import Fault, InvalidParams
from backendai.common.http import json_response
from backendai.common.logs import get_logger
from backendai.common.params import read_params
from backendai.manager.events.stream import CLOSE, HEARTBEAT, encode_event, open_stream
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import Task, TaskStatus
from .service import Tasks

log = get_logger(__name__)

WATCH: Final = Action("task.watch")
READ: Final = Action("task.read")
CANCEL: Final = Action("task.cancel", writes=True)

# A client that gets an event in the same moment as the headers has nobody who listens yet.
FIRST_EVENT_SECONDS: Final = 0.3
PAGE_MAX: Final = 100

_PARAMS: Final = t.Dict(
    t.Key("task_id", optional=True, trafaret=t.String(max_length=64)),
    t.Key("taskId", optional=True, to_name="task_id", trafaret=t.String(max_length=64)),
)
_PAGE: Final = t.Dict(
    t.Key("limit", optional=True, default=20, trafaret=t.ToInt(gte=1, lte=PAGE_MAX)),
    t.Key("offset", optional=True, default=0, trafaret=t.ToInt(gte=0, lte=1 << 31)),
)


def routes(tasks: Tasks, clock: Clock) -> list[Route]:
    handlers = _Handlers(tasks, clock)
    return [
        Route("GET", "/events/background-task", handlers.events, WATCH, _PARAMS),
        Route("GET", "/background-tasks", handlers.page, READ, _PAGE),
        Route("DELETE", "/background-tasks/{task_id}", handlers.cancel, CANCEL),
    ]


class _Handlers:
    def __init__(self, tasks: Tasks, clock: Clock) -> None:
        self._tasks = tasks
        self._clock = clock

    async def page(self, request: web.Request) -> web.Response:
        params = await read_params(request, _PAGE)
        tasks, count = await self._tasks.page(request[ACTOR], params["limit"], params["offset"])
        items = [
            {**_level(task), "name": task.name, "created_at": task.created_at.isoformat()}
            for task in tasks
        ]
        return json_response({"items": items, "total_count": count})

    async def cancel(self, request: web.Request) -> web.Response:
        await self._tasks.cancel(request[ACTOR], _id_of(request.match_info["task_id"]))
        return web.Response(status=204)

    async def events(self, request: web.Request) -> web.StreamResponse:
        task_id = _id_of((await read_params(request, _PARAMS)).get("task_id", ""))
        task = await self._tasks.get(request[ACTOR], task_id)
        async with open_stream(request) as response:
            await self._clock.sleep(FIRST_EVENT_SECONDS)
            if task.status.is_final:
                await response.write(encode_event(_name_of(task), _level(task)) + CLOSE)
            else:
                await self._tell(request, response, task_id)
        return response

    async def _tell(
        self, request: web.Request, response: web.StreamResponse, task_id: uuid.UUID
    ) -> None:
        try:
            async with contextlib.aclosing(self._tasks.follow(request[ACTOR], task_id)) as news:
                async for task in news:
                    await response.write(HEARTBEAT if task is None else _news(task))
        except Fault as fault:
            # Without an end mark the client asks again, and is told the level then.
            log.info("events.interrupted", task=str(task_id), code=fault.code)
            return
        await response.write(CLOSE)


def _news(task: Task) -> bytes:
    level = _level(task)
    del level["status"]
    if task.status.is_final:
        level = {name: level[name] for name in ("task_id", "message")}
    return encode_event(_name_of(task), level)


def _name_of(task: Task) -> str:
    """A task that waits or runs is `updated`; one that is over is what it has become."""
    return f"bgtask_{task.status.value if task.status.is_final else 'updated'}"


def _level(task: Task) -> dict[str, Any]:
    """On the wire a task that waits has started."""
    is_live = task.status in (TaskStatus.PENDING, TaskStatus.RUNNING)
    return {
        "task_id": str(task.id),
        "status": "started" if is_live else task.status.value,
        "message": task.message,
        "current_progress": task.current,
        "total_progress": task.total,
    }


def _id_of(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidParams(facts={"task_id": "write the id of a task, a UUID"}) from None
