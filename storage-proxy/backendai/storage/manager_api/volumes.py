"""Volumes: which there are, how they are, and what they hold."""

from typing import Any

from aiohttp import web

from backendai.common.faults import BadRequest, Fault
from backendai.common.http import json_response
from backendai.common.params import read_params

from ..volumes.health import inspect_volume
from ..volumes.load import Volumes
from ..volumes.volume import Volume
from .params import A_VOLUME, VOLUME_QUOTA


def volume_routes(volumes: Volumes) -> list[web.RouteDef]:
    handlers = _Handlers(volumes)
    return [
        web.get("/volumes", handlers.list_volumes),
        web.get("/volume/hwinfo", handlers.show_health),
        web.get("/volume/performance-metric", handlers.show_performance),
        web.get("/volume/quota", handlers.refuse_quota),
        web.patch("/volume/quota", handlers.refuse_quota),
        web.get("/folder/fs-usage", handlers.show_fs_usage),
    ]


class _Handlers:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    async def list_volumes(self, _request: web.Request) -> web.Response:
        return json_response({"volumes": [await _shown(volume) for volume in self._volumes]})

    async def show_health(self, request: web.Request) -> web.Response:
        report = await inspect_volume(await self._read(request))
        return json_response(
            {"status": report.status, "status_info": report.info, "metadata": report.metadata}
        )

    async def show_performance(self, request: web.Request) -> web.Response:
        volume = await self._read(request)
        return json_response({"metric": await volume.run(volume.performance)})

    async def refuse_quota(self, request: web.Request) -> web.Response:
        self._volumes.get((await read_params(request, VOLUME_QUOTA))["volume"])
        raise BadRequest("quotas belong to quota scopes, not to folders: use /quota-scope")

    async def show_fs_usage(self, request: web.Request) -> web.Response:
        volume = await self._read(request)
        return json_response(await volume.run(volume.fs_usage))

    async def _read(self, request: web.Request) -> Volume:
        return self._volumes.get((await read_params(request, A_VOLUME))["volume"])


async def _shown(volume: Volume) -> dict[str, Any]:
    return {
        "name": volume.name,
        "backend": volume.backend,
        "path": str(volume.path),
        "fsprefix": ".",
        "capabilities": sorted(volume.capabilities),
        "volume_id": await _find_id(volume),
    }


async def _find_id(volume: Volume) -> str | None:
    """None while the volume is away: it is listed all the same."""
    try:
        return await volume.run(volume.volume_id)
    except Fault:
        return None
