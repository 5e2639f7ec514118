"""Hello, announcement, manager status, slot types and the caller's own role."""

from typing import Any, Final, Protocol

import trafaret as t
from aiohttp import web

from backendai.common.faults import InvalidParams, ProjectNotFound
from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.manager.gate.actor import Access, Action, Actor
from backendai.manager.gate.routes import ACTOR, Route

API_VERSION: Final = "v7.20230615"
MANAGER_VERSION: Final = "23.9.10"

_ECHO: Final = t.Dict(t.Key("echo", optional=True, trafaret=t.String(allow_blank=True)))
_ROLE: Final = t.Dict(t.Key("group", optional=True, trafaret=t.String(allow_blank=True)))
_SHARED_SLOTS: Final = "Shares of one device"


class Cluster(Protocol):
    """What this page needs to know."""

    async def slot_types(self) -> dict[str, str]: ...

    async def announcement(self) -> tuple[bool, str]: ...

    async def nodes(self) -> list[dict[str, Any]]: ...

    async def count_live_sessions(self) -> int: ...

    async def is_member(self, actor: Actor, project: str) -> bool | None: ...


def routes(cluster: Cluster) -> list[Route]:
    handlers = _Handlers(cluster)
    return [
        Route("GET", "/", handlers.hello, Action("hello", Access.OPEN)),
        Route("GET", "/auth", handlers.echo, Action("auth.test")),
        Route("POST", "/auth", handlers.echo, Action("auth.test")),
        Route("GET", "/auth/test", handlers.echo, Action("auth.test")),
        Route("POST", "/auth/test", handlers.echo, Action("auth.test")),
        Route("GET", "/auth/role", handlers.role, Action("auth.role")),
        Route("GET", "/config/resource-slots", handlers.slots, Action("config.slots", Access.OPEN)),
        Route(
            "GET",
            "/config/resource-slots/details",
            handlers.slot_details,
            Action("config.slots", Access.OPEN),
        ),
        Route(
            "GET",
            "/config/vfolder-types",
            handlers.vfolder_types,
            Action("config.vfolder_types", Access.OPEN),
        ),
        Route("GET", "/manager/status", handlers.status, Action("manager.status", Access.OPEN)),
        Route(
            "GET",
            "/manager/announcement",
            handlers.announcement,
            Action("manager.announcement", Access.OPEN),
        ),
    ]


class _Handlers:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def hello(self, _request: web.Request) -> web.Response:
        return json_response({"version": API_VERSION, "manager": MANAGER_VERSION})

    async def echo(self, request: web.Request) -> web.Response:
        params = await read_params(request, _ECHO)
        return json_response({"authorized": "yes", "echo": params.get("echo", "")})

    async def role(self, request: web.Request) -> web.Response:
        actor = request[ACTOR]
        project = (await read_params(request, _ROLE)).get("group")
        return json_response(
            {
                "global_role": "superadmin" if actor.is_superadmin else "user",
                "domain_role": "admin" if actor.is_domain_admin else "user",
                "group_role": await self._project_role(actor, project) if project else None,
            }
        )

    async def slots(self, _request: web.Request) -> web.Response:
        return json_response(await self._cluster.slot_types())

    async def slot_details(self, _request: web.Request) -> web.Response:
        types = await self._cluster.slot_types()
        return json_response({name: describe_slot(name, kind) for name, kind in types.items()})

    async def vfolder_types(self, _request: web.Request) -> web.Response:
        return json_response(["user", "group"])

    async def status(self, _request: web.Request) -> web.Response:
        live = await self._cluster.count_live_sessions()
        nodes = [{**node, "active_sessions": live} for node in await self._cluster.nodes()]
        return json_response({"nodes": nodes, "status": "running", "active_sessions": live})

    async def announcement(self, _request: web.Request) -> web.Response:
        enabled, message = await self._cluster.announcement()
        return json_response({"enabled": enabled, "message": message})

    async def _project_role(self, actor: Actor, project: str) -> str:
        if len(project) > 64:
            raise InvalidParams(facts={"group": "is longer than a name may be"})
        if not await self._cluster.is_member(actor, project):
            raise ProjectNotFound
        return "user"


_WORDS: Final = {
    "cpu": ("CPU", "CPU cores", "Core", "cpu"),
    "mem": ("RAM", "Memory", "GiB", "ram"),
    "cuda.device": ("GPU", "NVIDIA GPUs", "GPU", "gpu"),
    "cuda.shares": ("FGPU", _SHARED_SLOTS, "FGPU", "gpu"),
}


def describe_slot(name: str, kind: str) -> dict[str, Any]:
    """How a slot is shown to people."""
    short, description, unit, icon = _WORDS.get(name, (name, name, name.split(".")[0], "device"))
    return {
        "slot_name": name,
        "description": description,
        "human_readable_name": short,
        "display_unit": unit,
        "number_format": {"binary": kind == "bytes", "round_length": 2 if "." in name else 0},
        "display_icon": icon,
    }
