"""Volumes: which there are, how they are, and what they hold."""

from typing import Any

from aiohttp import web

from backendai.common.faults import Fault
from backendai.common.http import json_response

from ..volumes.load import Volumes
from ..volumes.volume import Volume


def volume_routes(volumes: Volumes) -> list[web.RouteDef]:
    handlers = _Handlers(volumes)
    return [web.get("/volumes", handlers.list_volumes)]


class _Handlers:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    async def list_volumes(self, _request: web.Request) -> web.Response:
        return json_response({"volumes": [await _shown(volume) for volume in self._volumes]})


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
