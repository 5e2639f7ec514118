"""Hello, the caller's own role, slot types, and the configuration of the cluster."""

from typing import Any, Final, Protocol

import trafaret as t
from aiohttp import web

from backendai.common.enums import HostPermission, ProjectRole
from backendai.common.faults import InvalidParams, ProjectNotFound
from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.manager.gate.actor import Access, Action, Actor
from backendai.manager.gate.routes import ACTOR, Route

from .keys import KEY_CHARS_MAX
from .pairs import ConfigPairs

API_VERSION: Final = "v7.20230615"
MANAGER_VERSION: Final = "23.9.10"

_ECHO: Final = t.Dict(t.Key("echo", optional=True, trafaret=t.String(allow_blank=True)))
_ROLE: Final = t.Dict(t.Key("group", optional=True, trafaret=t.String(allow_blank=True)))
_GROUP: Final = t.Dict(
    t.Key("sgroup", optional=True, trafaret=t.String(allow_blank=True, max_length=64))
)
_KEY: Final = t.Dict(
    t.Key("key", trafaret=t.String(max_length=KEY_CHARS_MAX)),
    t.Key("prefix", optional=True, default=False, trafaret=t.ToBool()),
)
_PAIR: Final = t.Dict(
    t.Key("key", trafaret=t.String(max_length=KEY_CHARS_MAX)), t.Key("value", trafaret=t.Any)
)
REGISTRIES: Final = Action("config.registries", Access.SUPERADMIN)
READ: Final = Action("config.read", Access.SUPERADMIN)
WRITE: Final = Action("config.write", Access.SUPERADMIN, writes=True)
_SHARED_SLOTS: Final = "Shares of one device"


class Cluster(Protocol):
    """What this page needs to know."""

    async def slot_types(self, group: str | None = None) -> dict[str, str]: ...

    async def registries(self) -> dict[str, str]: ...

    async def find_project_role(self, actor: Actor, project: str) -> ProjectRole | None: ...


def routes(cluster: Cluster, pairs: ConfigPairs) -> list[Route]:
    handlers = _Handlers(cluster, pairs)
    return [
        Route("GET", "/", handlers.hello, Action("hello", Access.OPEN)),
        Route("GET", "/auth", handlers.echo, Action("auth.test"), _ECHO),
        Route("POST", "/auth", handlers.echo, Action("auth.test"), _ECHO),
        Route("GET", "/auth/test", handlers.echo, Action("auth.test"), _ECHO),
        Route("POST", "/auth/test", handlers.echo, Action("auth.test"), _ECHO),
        Route("GET", "/auth/role", handlers.role, Action("auth.role"), _ROLE),
        Route("GET", "/config/resource-slots", handlers.slots, Action("config.slots", Access.OPEN)),
        Route(
            "GET",
            "/config/resource-slots/details",
            handlers.slot_details,
            Action("config.slots", Access.OPEN),
            _GROUP,
        ),
        Route(
            "GET",
            "/config/vfolder-types",
            handlers.vfolder_types,
            Action("config.vfolder_types", Access.OPEN),
        ),
        Route("GET", "/config/docker-registries", handlers.registries, REGISTRIES),
        Route("GET", "/resource/container-registries", handlers.registries, REGISTRIES),
        Route("POST", "/config/get", handlers.get, READ, _KEY),
        Route("POST", "/config/set", handlers.set, WRITE, _PAIR),
        Route("POST", "/config/delete", handlers.delete, WRITE, _KEY),
        Route("GET", "/acl", handlers.permissions, Action("config.permissions")),
    ]


class _Handlers:
    def __init__(self, cluster: Cluster, pairs: ConfigPairs) -> None:
        self._cluster = cluster
        self._pairs = pairs

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

    async def slot_details(self, request: web.Request) -> web.Response:
        group = (await read_params(request, _GROUP)).get("sgroup")
        types = await self._cluster.slot_types(group or None)
        return json_response({name: describe_slot(name, kind) for name, kind in types.items()})

    async def vfolder_types(self, _request: web.Request) -> web.Response:
        return json_response(["user", "group"])

    async def registries(self, _request: web.Request) -> web.Response:
        return json_response(await self._cluster.registries())

    async def get(self, request: web.Request) -> web.Response:
        params = await read_params(request, _KEY)
        if params["prefix"]:
            return json_response({"result": await self._pairs.get_below(params["key"])})
        return json_response({"result": await self._pairs.get(params["key"])})

    async def set(self, request: web.Request) -> web.Response:
        params = await read_params(request, _PAIR)
        await self._pairs.set(request[ACTOR], params["key"], params["value"])
        return json_response({"result": "ok"})

    async def delete(self, request: web.Request) -> web.Response:
        params = await read_params(request, _KEY)
        await self._pairs.delete(request[ACTOR], params["key"], is_prefix=params["prefix"])
        return json_response({"result": "ok"})

    async def permissions(self, _request: web.Request) -> web.Response:
        return json_response({"vfolder_host_permission_list": [*HostPermission]})

    async def _project_role(self, actor: Actor, project: str) -> str:
        if len(project) > 64:
            raise InvalidParams(facts={"group": "is longer than a name may be"})
        role = await self._cluster.find_project_role(actor, project)
        if role is None:
            raise ProjectNotFound
        return "admin" if role is ProjectRole.ADMIN else "user"


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
