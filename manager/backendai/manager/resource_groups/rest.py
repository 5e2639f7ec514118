"""REST of resource groups; the wire calls them scaling groups."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.policies.reach import ResourceGroup

from .service import ResourceGroups

READ: Final = Action("resource_group.read")

_REFERENCE: Final = t.String(max_length=64)
_PROJECT: Final = t.Dict(
    t.Key("group", optional=True, trafaret=_REFERENCE),
    t.Key("group_id", optional=True, to_name="group", trafaret=_REFERENCE),
    t.Key("group_name", optional=True, to_name="group", trafaret=_REFERENCE),
)
DEFAULT_PROJECT: Final = "default"


def routes(groups: ResourceGroups) -> list[Route]:
    handlers = _Handlers(groups)
    return [
        Route("GET", "/scaling-groups", handlers.usable, READ, _PROJECT),
        Route(
            "GET", "/scaling-groups/{name}/wsproxy-version", handlers.proxy_version, READ, _PROJECT
        ),
    ]


class _Handlers:
    def __init__(self, groups: ResourceGroups) -> None:
        self._groups = groups

    async def usable(self, request: web.Request) -> web.Response:
        project = (await read_params(request, _PROJECT)).get("group", DEFAULT_PROJECT)
        found = await self._groups.list_usable(request[ACTOR], project)
        return json_response({"scaling_groups": [_group(one) for one in found]})

    async def proxy_version(self, request: web.Request) -> web.Response:
        project = (await read_params(request, _PROJECT)).get("group", DEFAULT_PROJECT)
        name = request.match_info["name"]
        version = await self._groups.proxy_version(request[ACTOR], name, project)
        return json_response({"wsproxy_version": version})


def _group(group: ResourceGroup) -> dict[str, Any]:
    types = group.options.get("allowed_session_types")
    options = {} if types is None else {"allowed_session_types": types}
    return {"name": group.name, "is_public": group.is_public, "scheduler_opts": options}
