"""Folders as a whole, and the quota scopes that they count for."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.common.storage_faults import FolderBusy

from ..emptying import TrashEmptiers
from ..folders import check_folder, clone_folder, create_folder, delete_folder, find_mount_path
from ..layout import FolderId
from ..volumes.load import Volumes
from ..volumes.volume import FolderUsage, Volume, Work
from .params import (
    A_FOLDER,
    A_SCOPE,
    CLONE,
    METADATA,
    MOUNT,
    NEW_FOLDER,
    NEW_SCOPE,
    SCOPE_LIMIT,
    read_folder,
    read_scope,
)


def folder_routes(volumes: Volumes, emptiers: TrashEmptiers) -> list[web.RouteDef]:
    handlers = _Handlers(volumes, emptiers)
    return [
        web.post("/folder/create", handlers.create),
        web.post("/folder/delete", handlers.delete),
        web.post("/folder/clone", handlers.clone),
        web.get("/folder/mount", handlers.show_mount),
        web.get("/folder/usage", handlers.show_usage),
        web.get("/folder/used-bytes", handlers.show_used_bytes),
        web.get("/folder/metadata", handlers.touch_metadata),
        web.post("/folder/metadata", handlers.touch_metadata),
    ]


def scope_routes(volumes: Volumes) -> list[web.RouteDef]:
    handlers = _ScopeHandlers(volumes)
    return [
        web.post("/quota-scope", handlers.make),
        web.get("/quota-scope", handlers.show),
        web.patch("/quota-scope", handlers.set_limit),
        web.delete("/quota-scope/quota", handlers.clear_limit),
    ]


class _Handlers:
    def __init__(self, volumes: Volumes, emptiers: TrashEmptiers) -> None:
        self._volumes = volumes
        self._emptiers = emptiers
        self._copying: set[tuple[str, FolderId]] = set()

    async def create(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, NEW_FOLDER)
        volume = self._volumes.get(params["volume"])
        mode = (params["options"] or {}).get("mode", 0o755)
        await volume.run(create_folder, volume, folder, mode)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, A_FOLDER)
        volume = self._volumes.get(params["volume"])
        if (volume.name, folder) in self._copying:
            raise FolderBusy(f"{folder} can be deleted when the copy is there")
        await volume.run(delete_folder, volume, folder)
        self._emptiers.hint(volume)
        return web.Response(status=204)

    async def clone(self, request: web.Request) -> web.Response:
        params = await read_params(request, CLONE)
        source = self._volumes.get(params["src_volume"])
        target = self._volumes.get(params["dst_volume"])
        folder, clone = params["src_vfid"], params["dst_vfid"]
        with self._held(target, clone):
            await target.run_long(Work.COPY, clone_folder, source, folder, target, clone)
        return web.Response(status=204)

    @contextmanager
    def _held(self, volume: Volume, folder: FolderId) -> Iterator[None]:
        """Nobody deletes it before it is there, to find it come after that: the manager that asked
        for the copy may be gone, and another one tidying up."""
        key = (volume.name, folder)
        if key in self._copying:
            raise FolderBusy(f"{folder} is being copied to already")
        self._copying.add(key)
        try:
            yield
        finally:
            self._copying.discard(key)

    async def show_mount(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, MOUNT)
        volume = self._volumes.get(params["volume"])
        path = await volume.run(find_mount_path, volume, folder, params["subpath"])
        return json_response({"path": str(path)})

    async def show_usage(self, request: web.Request) -> web.Response:
        return json_response(await self._usage(request))

    async def show_used_bytes(self, request: web.Request) -> web.Response:
        return json_response({"used_bytes": (await self._usage(request)).used_bytes})

    async def touch_metadata(self, request: web.Request) -> web.Response:
        """All there is to know of a folder is in the manager; here it only has to exist."""
        folder, params = await read_folder(request, METADATA)
        volume = self._volumes.get(params["volume"])
        await volume.run(check_folder, volume, folder)
        return json_response({"status": "ok"})

    async def _usage(self, request: web.Request) -> FolderUsage:
        folder, params = await read_folder(request, A_FOLDER)
        volume = self._volumes.get(params["volume"])
        return await volume.run_shared(folder, volume.usage, folder)


class _ScopeHandlers:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    async def make(self, request: web.Request) -> web.Response:
        scope, params = await read_scope(request, NEW_SCOPE)
        volume = self._volumes.get(params["volume"])
        limit = (params["options"] or {}).get("limit_bytes")
        await volume.run(volume.quotas.make, scope, limit)
        return web.Response(status=204)

    async def show(self, request: web.Request) -> web.Response:
        scope, params = await read_scope(request, A_SCOPE)
        volume = self._volumes.get(params["volume"])
        return json_response(await volume.run_shared(scope, volume.quotas.get, scope))

    async def set_limit(self, request: web.Request) -> web.Response:
        scope, params = await read_scope(request, SCOPE_LIMIT)
        volume = self._volumes.get(params["volume"])
        await volume.run(volume.quotas.set_limit, scope, params["options"]["limit_bytes"])
        return web.Response(status=204)

    async def clear_limit(self, request: web.Request) -> web.Response:
        scope, params = await read_scope(request, A_SCOPE)
        volume = self._volumes.get(params["volume"])
        await volume.run(volume.quotas.set_limit, scope, None)
        return web.Response(status=204)
