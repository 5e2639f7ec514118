"""REST of the work inside sessions: execute, complete, interrupt, logs."""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.contracts.agent import ExecuteResult
from backendai.common.enums import ExecutionMode
from backendai.common.faults import InvalidParams
from backendai.common.http import json_response
from backendai.common.params import checked, read_params, without_nulls
from backendai.manager.gate.routes import ACTOR, Route

from . import actions
from .rest import owner_keys, read_scope
from .service import Sessions
from .work import SessionWork

CODE_CHARS_MAX: Final = 4 * 1024 * 1024

_CODE: Final = t.String(allow_blank=True, max_length=CODE_CHARS_MAX)
_RUN: Final = owner_keys(
    t.Key("mode", optional=True, trafaret=t.Enum(*[mode.value for mode in ExecutionMode])),
    t.Key("code", optional=True, default="", trafaret=_CODE),
    t.Key("runId", optional=True, trafaret=t.Regexp(r"[\w.-]{1,64}\Z")),
    t.Key("run_id", optional=True, to_name="runId", trafaret=t.Regexp(r"[\w.-]{1,64}\Z")),
    t.Key("options", optional=True, trafaret=t.Mapping(t.String(), t.Any)),
)
_COMPLETE: Final = owner_keys(
    t.Key("code", optional=True, default="", trafaret=_CODE),
    t.Key("options", optional=True, trafaret=t.Mapping(t.String(), t.Any)),
)
_CURSOR: Final = t.Dict(
    t.Key("row", optional=True, trafaret=t.ToInt(gte=0)),
    t.Key("col", optional=True, trafaret=t.ToInt(gte=0)),
    t.Key("line", optional=True, trafaret=t.String(allow_blank=True)),
    t.Key("post", optional=True, trafaret=t.String(allow_blank=True)),
)
_BATCH: Final = t.Dict(
    t.Key("clean", optional=True, trafaret=t.Null() | _CODE),
    t.Key("build", optional=True, trafaret=t.Null() | _CODE),
    t.Key("buildLog", optional=True, trafaret=t.Bool() | t.Null()),
    t.Key("exec", optional=True, trafaret=t.Null() | _CODE),
)
_LOGS: Final = owner_keys(
    t.Key("kernel_id", optional=True, trafaret=t.Regexp(r"[0-9A-Fa-f-]{36}\Z"))
)
_TASK: Final = t.Dict(t.Key("taskId", trafaret=t.String() & checked(uuid.UUID)))
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, work: SessionWork) -> list[Route]:
    handlers = _Handlers(sessions, work)
    return [
        Route("POST", "/session/{session}", handlers.execute, actions.EXECUTE, _RUN),
        Route("POST", "/session/{session}/interrupt", handlers.interrupt, actions.EXECUTE, _OWNER),
        Route("POST", "/session/{session}/complete", handlers.complete, actions.EXECUTE, _COMPLETE),
        Route("GET", "/session/_/logs", handlers.task_logs, actions.READ, _TASK),
        Route("GET", "/session/{session}/logs", handlers.logs, actions.READ, _LOGS),
    ]


def result_of(result: ExecuteResult) -> dict[str, Any]:
    """One step's outcome as clients read it; `options` is an object while input is awaited."""
    options = result.options
    if options is None and result.status == "waiting-input":
        options = {"is_password": False}
    return {
        "status": result.status,
        "exitCode": result.exit_code,
        "console": result.console,
        "options": options,
        "files": None,
    }


def read_batch_options(options: dict[str, Any] | None) -> dict[str, Any]:
    """What to clean, build and run. Raises InvalidParams."""
    try:
        checked = _BATCH.check(options or {})
    except t.DataError as error:
        raise InvalidParams(facts={"options": str(error.as_dict())}) from None
    return without_nulls(checked)


class _Handlers:
    def __init__(self, sessions: Sessions, work: SessionWork) -> None:
        self._sessions = sessions
        self._work = work

    async def execute(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _RUN)
        mode = _mode_of(params)
        options = read_batch_options(params.get("options")) if mode is ExecutionMode.BATCH else {}
        place = await self._work.locate(scope, reference)
        if mode is ExecutionMode.COMPLETE:
            found = await self._work.complete(place, params["code"], _cursor(params))
            result = {"status": "finished", "completions": found}
            return json_response({"result": {"runId": params.get("runId"), **result}})
        done = await self._work.execute(
            place, mode, params["code"], run_id=params.get("runId"), options=options
        )
        return json_response({"result": {"runId": done.run_id, **result_of(done)}})

    async def interrupt(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        await self._work.interrupt(await self._work.locate(scope, reference))
        return web.Response(status=204)

    async def complete(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _COMPLETE)
        place = await self._work.locate(scope, reference)
        found = await self._work.complete(place, params["code"], _cursor(params))
        return json_response({"result": {"status": "finished", "completions": found}})

    async def logs(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _LOGS)
        data = await self._work.logs(scope, reference, params.get("kernel_id"))
        return json_response({"result": {"logs": data.decode("utf-8", "replace")}})

    async def task_logs(self, request: web.Request) -> web.Response:
        task_id = (await read_params(request, _TASK))["taskId"]
        scope = await self._sessions.scope_of(request[ACTOR], None, str(task_id))
        data = await self._work.task_logs(scope, task_id)
        return web.Response(body=data, content_type="text/plain", charset="utf-8")


def _mode_of(params: dict[str, Any]) -> ExecutionMode:
    if "mode" not in params:
        raise InvalidParams(facts={"mode": f"write one of {', '.join(ExecutionMode)}"})
    mode = ExecutionMode(params["mode"])
    if mode in (ExecutionMode.CONTINUE, ExecutionMode.INPUT) and not params.get("runId"):
        raise InvalidParams(facts={"runId": f"{mode} needs the run that it goes on with"})
    return mode


def _cursor(params: dict[str, Any]) -> dict[str, Any]:
    try:
        checked: dict[str, Any] = _CURSOR.check(params.get("options") or {})
    except t.DataError as error:
        raise InvalidParams(facts={"options": str(error.as_dict())}) from None
    return checked
