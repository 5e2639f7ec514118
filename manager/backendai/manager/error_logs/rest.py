"""REST of error logs."""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import ErrorLogNotFound, InvalidParams
from backendai.common.http import json_response
from backendai.common.params import parse_json, read_given_params, read_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import ErrorLog, NewErrorLog, Severity
from .service import ErrorLogs

READ: Final = Action("error_log.read")
WRITE: Final = Action("error_log.write", writes=True)

PAGE_SIZE_MAX: Final = 100
PAGES_MAX: Final = 100_000
_LONG: Final = 64 * 1024


def _text(chars_max: int) -> Any:
    return t.String(allow_blank=True, max_length=chars_max)


_PAGE: Final = t.Dict(
    t.Key("mark_read", optional=True, default=False, trafaret=t.ToBool()),
    t.Key("page_size", optional=True, default=20, trafaret=t.ToInt(gte=1, lte=PAGE_SIZE_MAX)),
    t.Key("page_no", optional=True, default=1, trafaret=t.ToInt(gte=1, lte=PAGES_MAX)),
)
_NEW: Final = t.Dict(
    t.Key("severity", trafaret=t.Enum(*[word.value for word in Severity])),
    t.Key("source", trafaret=_text(256)),
    t.Key("message", trafaret=_text(_LONG)),
    t.Key("context_lang", trafaret=_text(256)),
    # JSON text of an object, or the object itself.
    t.Key("context_env", trafaret=_text(_LONG) | t.Mapping(t.String(allow_blank=True), t.Any)),
    t.Key("request_url", optional=True, trafaret=_text(4096)),
    t.Key("request_status", optional=True, trafaret=t.ToInt(gte=100, lte=599)),
    t.Key("traceback", optional=True, trafaret=_text(_LONG)),
)


def routes(error_logs: ErrorLogs) -> list[Route]:
    handlers = _Handlers(error_logs)
    return [
        Route("GET", "/logs/error", handlers.page, READ, _PAGE),
        Route("POST", "/logs/error", handlers.add, WRITE, _NEW),
        Route("POST", "/logs/error/{log_id}/clear", handlers.clear, WRITE),
    ]


class _Handlers:
    def __init__(self, error_logs: ErrorLogs) -> None:
        self._error_logs = error_logs

    async def page(self, request: web.Request) -> web.Response:
        params = await read_params(request, _PAGE)
        page = await self._error_logs.page(
            request[ACTOR],
            size=params["page_size"],
            number=params["page_no"],
            is_marking=params["mark_read"],
        )
        return json_response({"logs": [_shown(one) for one in page.logs], "count": page.count})

    async def add(self, request: web.Request) -> web.Response:
        await self._error_logs.add(request[ACTOR], _new(await read_given_params(request, _NEW)))
        return json_response({"success": True})

    async def clear(self, request: web.Request) -> web.Response:
        try:
            log_id = uuid.UUID(request.match_info["log_id"])
        except ValueError:
            raise ErrorLogNotFound from None
        await self._error_logs.clear(request[ACTOR], log_id)
        return json_response({"success": True})


def _new(params: dict[str, Any]) -> NewErrorLog:
    environ = params["context_env"]
    if isinstance(environ, str):
        environ = parse_json(environ.encode()) if environ.strip() else {}
    if not isinstance(environ, dict):
        raise InvalidParams(facts={"context_env": "write a JSON object"})
    severity = Severity(params["severity"])
    return NewErrorLog(**{**params, "severity": severity, "context_env": environ})


def _shown(log: ErrorLog) -> dict[str, Any]:
    told = log.told
    return {
        "log_id": str(log.id),
        "created_at": log.created_at.timestamp(),
        "severity": told.severity.value,
        "source": told.source,
        "user": str(log.user_id),
        "is_read": log.is_read,
        "message": told.message,
        "context_lang": told.context_lang,
        "context_env": told.context_env,
        "request_url": told.request_url,
        "request_status": told.request_status,
        "traceback": told.traceback,
    }
