"""Tokens with which a user's program sends or fetches a file, at the client-facing listener."""

from aiohttp import web

from backendai.common.http import json_response
from backendai.common.paths import RelPath

from ..files import check_item
from ..grants import Grants
from ..layout import FolderId
from ..volumes.load import Volumes
from ..volumes.volume import Volume
from .params import DOWNLOAD, EXTRACTION, UPLOAD, read_folder


def token_routes(volumes: Volumes, grants: Grants) -> list[web.RouteDef]:
    handlers = _Handlers(volumes, grants)
    return [
        web.post("/folder/file/download", handlers.begin_download),
        web.post("/folder/file/upload", handlers.begin_upload),
        web.post("/folder/file/extract", handlers.begin_extraction),
    ]


class _Handlers:
    def __init__(self, volumes: Volumes, grants: Grants) -> None:
        self._volumes = volumes
        self._grants = grants

    async def begin_download(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, DOWNLOAD)
        volume = self._volumes.get(params["volume"])
        await volume.run(_check, volume, folder, params["relpath"])
        token = self._grants.grant_download(
            volume,
            folder,
            params["relpath"],
            is_archive=params["archive"],
            selection=params["selection"],
        )
        return json_response({"token": token})

    async def begin_extraction(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, EXTRACTION)
        volume, path = self._volumes.get(params["volume"]), params["relpath"]
        await volume.run(_check, volume, folder, path)
        token = self._grants.grant_extraction(
            volume, folder, path, params["into"], removes=params["remove"]
        )
        return json_response({"token": token})

    async def begin_upload(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, UPLOAD)
        volume = self._volumes.get(params["volume"])
        token = await self._grants.grant_upload(volume, folder, params["relpath"], params["size"])
        return json_response({"token": token})


def _check(volume: Volume, folder: FolderId, path: RelPath) -> None:
    with volume.opened_folder(folder) as fd:
        check_item(fd, path)
