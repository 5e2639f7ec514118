"""REST of storage hosts: which there are, quotas and usage, and calls that mount nothing any more.

Operators mount file systems on the machines of storage proxies and agents themselves; the calls
for it answer what there is, and say so.
"""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.manager.gate.routes import ACTOR, Route

from . import actions, render
from .hosts import FolderHosts

_TOLD: Final = (
    "Mount file systems on the machines of storage proxies and agents; this manager mounts nothing."
)
_HOST_NAME: Final = t.String(max_length=128)
_UUID: Final = t.String(max_length=36) & checked(uuid.UUID)
_HOSTS: Final = t.Dict(t.Key("group_id", optional=True, trafaret=t.String(max_length=64)))
_HOST: Final = t.Dict(t.Key("folder_host", trafaret=_HOST_NAME))
_FOLDER: Final = t.Dict(
    t.Key("folder_host", optional=True, trafaret=_HOST_NAME), t.Key("id", trafaret=_UUID)
)
_SIZE: Final = t.Dict(t.Key("size_bytes", trafaret=t.ToInt(gte=-1, lte=(1 << 63) - 1)))
_QUOTA: Final = t.Dict(
    t.Key("folder_host", optional=True, trafaret=_HOST_NAME),
    t.Key("id", trafaret=_UUID),
    t.Key("input", trafaret=_SIZE),
)
_AGENT: Final = t.Dict(t.Key("agent_id", optional=True, trafaret=t.String(max_length=64)))
_LOCATION: Final = t.String(max_length=4096)
_MOUNT: Final = t.Dict(
    t.Key("name", trafaret=t.String(max_length=64)),
    t.Key("fs_location", trafaret=_LOCATION),
    t.Key("options", optional=True, trafaret=_LOCATION),
    t.Key("scaling_group", optional=True, trafaret=t.String(max_length=64)),
    t.Key("fstab_path", optional=True, trafaret=_LOCATION),
    t.Key("edit_fstab", optional=True, trafaret=t.ToBool()),
)
_UNMOUNT: Final = t.Dict(
    t.Key("name", trafaret=t.String(max_length=64)),
    t.Key("scaling_group", optional=True, trafaret=t.String(max_length=64)),
    t.Key("fstab_path", optional=True, trafaret=_LOCATION),
    t.Key("edit_fstab", optional=True, trafaret=t.ToBool()),
)


def routes(hosts: FolderHosts) -> list[Route]:
    handlers, base = _Handlers(hosts), "/folders/_"
    all_hosts, types = handlers.list_all, handlers.types
    return [
        Route("GET", f"{base}/hosts", handlers.list_allowed, actions.HOSTS, _HOSTS),
        Route("GET", f"{base}/all_hosts", all_hosts, actions.ALL_HOSTS),
        Route("GET", f"{base}/all-hosts", all_hosts, actions.ALL_HOSTS),
        Route("GET", f"{base}/allowed_types", types, actions.HOSTS),
        Route("GET", f"{base}/allowed-types", types, actions.HOSTS),
        Route("GET", f"{base}/perf-metric", handlers.metric, actions.METRIC, _HOST),
        Route("GET", f"{base}/quota", handlers.quota, actions.QUOTA, _FOLDER),
        Route("POST", f"{base}/quota", handlers.set_quota, actions.SET_QUOTA, _QUOTA),
        Route("GET", f"{base}/usage", handlers.usage, actions.USAGE, _FOLDER),
        Route("GET", f"{base}/used-bytes", handlers.used_bytes, actions.USAGE, _FOLDER),
        Route("GET", f"{base}/fstab", handlers.fstab, actions.MOUNTS, _AGENT),
        Route("GET", f"{base}/mounts", handlers.mounts, actions.MOUNTS),
        Route("POST", f"{base}/mounts", handlers.mount, actions.SET_MOUNTS, _MOUNT),
        Route("DELETE", f"{base}/mounts", handlers.unmount, actions.SET_MOUNTS, _UNMOUNT),
    ]


class _Handlers:
    def __init__(self, hosts: FolderHosts) -> None:
        self._hosts = hosts

    async def list_allowed(self, request: web.Request) -> web.Response:
        project = (await read_given_params(request, _HOSTS)).get("group_id")
        return json_response(render.hosts(await self._hosts.list_allowed(request[ACTOR], project)))

    async def list_all(self, _request: web.Request) -> web.Response:
        found = await self._hosts.list_all()
        return json_response({"default": found.default, "allowed": found.allowed})

    async def types(self, _request: web.Request) -> web.Response:
        return json_response(self._hosts.list_types())

    async def metric(self, request: web.Request) -> web.Response:
        host = (await read_given_params(request, _HOST))["folder_host"]
        return json_response({"metric": await self._hosts.metric(host)})

    async def quota(self, request: web.Request) -> web.Response:
        """-1 is no limit."""
        scope = await self._hosts.quota(request[ACTOR], *await _folder(request))
        return json_response({"size_bytes": -1 if scope.limit_bytes is None else scope.limit_bytes})

    async def set_quota(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _QUOTA)
        size: int = params["input"]["size_bytes"]
        limit = None if size < 0 else size
        await self._hosts.set_quota(request[ACTOR], params["id"], params.get("folder_host"), limit)
        return json_response({"size_bytes": size})

    async def usage(self, request: web.Request) -> web.Response:
        usage = await self._hosts.usage(request[ACTOR], *await _folder(request))
        return json_response({"file_count": usage.file_count, "used_bytes": usage.used_bytes})

    async def used_bytes(self, request: web.Request) -> web.Response:
        used = await self._hosts.used_bytes(request[ACTOR], *await _folder(request))
        return json_response({"used_bytes": used})

    async def fstab(self, request: web.Request) -> web.Response:
        agent_id = (await read_given_params(request, _AGENT)).get("agent_id")
        node = "manager" if agent_id is None else "agent"
        return json_response(
            {"content": f"# {_TOLD}\n", "node": node, "node_id": agent_id or "manager"}
        )

    async def mounts(self, _request: web.Request) -> web.Response:
        found = await self._hosts.list_all()
        told = {"success": True, "mounts": found.allowed, "message": ""}
        return json_response(_mounts(told))

    async def mount(self, request: web.Request) -> web.Response:
        await read_given_params(request, _MOUNT)
        return json_response(_mounts({"success": False, "mounts": [], "message": _TOLD}))

    async def unmount(self, request: web.Request) -> web.Response:
        await read_given_params(request, _UNMOUNT)
        return json_response(_mounts({"success": False, "mounts": [], "message": _TOLD}))


def _mounts(of_proxies: dict[str, Any]) -> dict[str, Any]:
    own = {**of_proxies, "mounts": []}
    return {"manager": own, "storage-proxy": of_proxies, "agents": {}}


async def _folder(request: web.Request) -> tuple[uuid.UUID, str | None]:
    params = await read_given_params(request, _FOLDER)
    return params["id"], params.get("folder_host")
