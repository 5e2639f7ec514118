"""REST of the cluster's status, the announcement, the scheduler and the latest log records."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import InvalidParams, NotOffered
from backendai.common.http import json_response
from backendai.common.logs import LEVELS
from backendai.common.loops import LoopHealth, LoopState
from backendai.common.params import read_given_params, read_params
from backendai.common.recent_logs import RECORDS_MAX, RecentLogs
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import ClusterStatus
from .service import Maintenance

SEE: Final = Action("manager.status", Access.OPEN)
FREEZE: Final = Action("manager.freeze", Access.SUPERADMIN, writes=True)
READ_NOTICE: Final = Action("manager.announcement", Access.OPEN)
ANNOUNCE: Final = Action("manager.announce", Access.SUPERADMIN, writes=True)
STEER: Final = Action("scheduler.steer", Access.SUPERADMIN, writes=True)
SEE_SCHEDULER: Final = Action("scheduler.read", Access.SUPERADMIN)
READ_LOG: Final = Action("manager.log", Access.SUPERADMIN)

MESSAGE_CHARS_MAX: Final = 16 * 1024
AGENTS_MAX: Final = 1000

# Which of this manager's loops do what an event asks for, by the beginning of their names.
_LOOPS: Final = {"schedule": "plan", "prepare": "agent.drive:"}

_STATUS: Final = t.Dict(
    t.Key("status", trafaret=t.Enum(*[word.value for word in ClusterStatus])),
    t.Key("force_kill", optional=True, default=False, trafaret=t.ToBool()),
)
_NOTICE: Final = t.Dict(
    t.Key("enabled", optional=True, default=False, trafaret=t.ToBool()),
    t.Key(
        "message",
        optional=True,
        trafaret=t.String(allow_blank=True, max_length=MESSAGE_CHARS_MAX),
    ),
)
_INCLUDE, _EXCLUDE = "include-agents", "exclude-agents"
_OPERATION: Final = t.Dict(
    t.Key("op", trafaret=t.Enum(_INCLUDE, _EXCLUDE)),
    t.Key("args", trafaret=t.List(t.String(max_length=128), min_length=1, max_length=AGENTS_MAX)),
)
_LOG: Final = t.Dict(
    t.Key("level", optional=True, default="INFO", trafaret=t.Enum(*LEVELS)),
    t.Key("limit", optional=True, default=100, trafaret=t.ToInt(gte=1, lte=RECORDS_MAX)),
)
_TRIGGER: Final = t.Dict(t.Key("event", trafaret=t.Enum("schedule", "prepare", "scale_services")))


def routes(
    maintenance: Maintenance, health: LoopHealth, recent_logs: RecentLogs, manager_id: str
) -> list[Route]:
    handlers = _Handlers(maintenance, health, recent_logs, manager_id)
    return [
        Route("GET", "/manager/status", handlers.status, SEE),
        Route("PUT", "/manager/status", handlers.set_status, FREEZE, _STATUS),
        Route("GET", "/manager/announcement", handlers.announcement, READ_NOTICE),
        Route("POST", "/manager/announcement", handlers.announce, ANNOUNCE, _NOTICE),
        Route("POST", "/manager/scheduler/operation", handlers.operate, STEER, _OPERATION),
        Route("POST", "/manager/scheduler/trigger", handlers.trigger, STEER, _TRIGGER),
        Route("GET", "/manager/scheduler/status", handlers.scheduler_status, SEE_SCHEDULER),
        Route("GET", "/manager/logs", handlers.logs, READ_LOG, _LOG),
    ]


class _Handlers:
    def __init__(
        self,
        maintenance: Maintenance,
        health: LoopHealth,
        recent_logs: RecentLogs,
        manager_id: str,
    ) -> None:
        self._maintenance = maintenance
        self._health = health
        self._recent_logs = recent_logs
        self._manager_id = manager_id

    async def status(self, _request: web.Request) -> web.Response:
        standing, managers = await self._maintenance.standing()
        told = {"status": standing.status.value, "active_sessions": standing.active_sessions}
        return json_response({"nodes": [{**each, **told} for each in managers], **told})

    async def set_status(self, request: web.Request) -> web.Response:
        params = await read_params(request, _STATUS)
        status = ClusterStatus(params["status"])
        if params["force_kill"] and status is ClusterStatus.RUNNING:
            raise InvalidParams(facts={"force_kill": "goes with the status frozen only"})
        await self._maintenance.set_status(request[ACTOR], status, is_killing=params["force_kill"])
        return web.Response(status=204)

    async def announcement(self, _request: web.Request) -> web.Response:
        enabled, message = await self._maintenance.announcement()
        return json_response({"enabled": enabled, "message": message})

    async def announce(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _NOTICE)
        message = params.get("message", "").strip() if params["enabled"] else ""
        if params["enabled"] and not message:
            raise InvalidParams(facts={"message": "write what is announced"})
        await self._maintenance.announce(request[ACTOR], message)
        return web.Response(status=204)

    async def operate(self, request: web.Request) -> web.Response:
        params = await read_params(request, _OPERATION)
        await self._maintenance.allow_sessions(
            request[ACTOR], params["args"], is_allowed=params["op"] == _INCLUDE
        )
        return web.Response(status=204)

    async def trigger(self, request: web.Request) -> web.Response:
        match (await read_params(request, _TRIGGER))["event"]:
            case "schedule":
                await self._maintenance.trigger_planning(request[ACTOR])
            case "prepare":
                await self._maintenance.trigger_starts(request[ACTOR])
            case _:
                raise NotOffered("There are no model services here that could be scaled.")
        return web.Response(status=204)

    async def scheduler_status(self, _request: web.Request) -> web.Response:
        standing = set(self._health.unhealthy())
        states = {
            event: [state for state in self._health.states() if state.name.startswith(loops)]
            for event, loops in _LOOPS.items()
        }
        return json_response(
            {event: [_loop(each, standing) for each in found] for event, found in states.items()}
        )

    async def logs(self, request: web.Request) -> web.Response:
        params = await read_params(request, _LOG)
        records = self._recent_logs.list(params["level"], params["limit"])
        items = [_record(each) for each in records]
        return json_response({"manager": self._manager_id, "items": items})


def _record(record: dict[str, Any]) -> dict[str, Any]:
    head = ("time", "level", "logger", "event")
    fields = {name: value for name, value in record.items() if name not in head}
    return {**{name: record[name] for name in head}, "fields": fields}


def _loop(state: LoopState, standing: set[str]) -> dict[str, Any]:
    """`healthy` says whether it has run lately; faults are those in a row until now."""
    return {
        "loop": state.name,
        "healthy": state.name not in standing,
        "failures": state.failures,
        "fault": state.fault_code,
        "period_seconds": state.period_seconds,
    }
