"""Files of folders: what managers do for their users, and the tokens that let users do it."""

import os
from typing import Any, Final

from aiohttp import web

from backendai.common.faults import Fault
from backendai.common.http import json_response
from backendai.common.paths import RelPath

from ..emptying import TrashEmptiers
from ..files import (
    Item,
    delete_items,
    list_items,
    make_folder_directory,
    move_item,
    open_file,
    rename_item,
)
from ..folders import copy_within
from ..layout import FolderId
from ..trash import throw_away
from ..volumes.load import Volumes
from ..volumes.oserrors import fault_of
from ..volumes.volume import Volume, Work
from .params import (
    A_FILE,
    DELETED,
    LISTED,
    NEW_DIRECTORY,
    RENAMED,
    TWO_PATHS,
    read_folder,
)

_PIECE_BYTES: Final = 1 << 20


def file_routes(volumes: Volumes, emptiers: TrashEmptiers) -> list[web.RouteDef]:
    handlers = _Handlers(volumes, emptiers)
    return [
        web.post("/folder/file/mkdir", handlers.make_directory),
        web.post("/folder/file/list", handlers.list_items),
        web.post("/folder/file/rename", handlers.rename),
        web.post("/folder/file/move", handlers.move),
        web.post("/folder/file/copy", handlers.copy),
        web.post("/folder/file/fetch", handlers.fetch),
        web.post("/folder/file/delete", handlers.delete),
    ]


class _Handlers:
    def __init__(self, volumes: Volumes, emptiers: TrashEmptiers) -> None:
        self._volumes = volumes
        self._emptiers = emptiers

    async def make_directory(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, NEW_DIRECTORY)
        volume = self._volumes.get(params["volume"])

        def work() -> None:
            with volume.opened_folder(folder) as fd:
                make_folder_directory(
                    fd,
                    params["relpath"],
                    volume.owner.take,
                    parents=params["parents"],
                    exist_ok=params["exist_ok"],
                )

        await volume.run(work)
        return web.Response(status=204)

    async def list_items(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, LISTED)
        volume = self._volumes.get(params["volume"])

        def work() -> list[Item]:
            with volume.opened_folder(folder) as fd:
                return list_items(fd, params["relpath"])

        return json_response({"items": await volume.run(work)})

    async def rename(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, RENAMED)
        volume = self._volumes.get(params["volume"])

        def work() -> None:
            with volume.opened_folder(folder) as fd:
                rename_item(fd, params["relpath"], params["new_name"])

        await volume.run(work)
        return web.Response(status=204)

    async def move(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, TWO_PATHS)
        volume = self._volumes.get(params["volume"])

        def work() -> None:
            with volume.opened_folder(folder) as fd:
                move_item(fd, params["src_relpath"], params["dst_relpath"])

        await volume.run(work)
        return web.Response(status=204)

    async def copy(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, TWO_PATHS)
        volume = self._volumes.get(params["volume"])
        source, target = params["src_relpath"], params["dst_relpath"]
        await volume.run_long(Work.COPY, copy_within, volume, folder, source, target)
        return web.Response(status=204)

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        folder, params = await read_folder(request, A_FILE)
        volume = self._volumes.get(params["volume"])
        fd, found = await volume.run(_open, volume, folder, params["relpath"])
        try:
            return await _send(request, volume, fd, found.st_size)
        finally:
            os.close(fd)

    async def delete(self, request: web.Request) -> web.Response:
        folder, params = await read_folder(request, DELETED)
        volume = self._volumes.get(params["volume"])

        def work() -> dict[str, OSError]:
            with volume.opened_folder(folder) as fd:
                return delete_items(
                    fd,
                    params["relpaths"],
                    lambda directory, name: throw_away(volume, directory, name),
                    recursive=params["recursive"],
                )

        failed = await volume.run(work)
        self._emptiers.hint(volume)
        if failed:
            raise _not_all_deleted(volume, failed, len(params["relpaths"]))
        return json_response({"status": "ok"})


def _open(volume: Volume, folder: FolderId, path: RelPath) -> tuple[int, os.stat_result]:
    with volume.opened_folder(folder) as fd:
        return open_file(fd, path)


async def _send(request: web.Request, volume: Volume, fd: int, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = size
    await response.prepare(request)
    sent = 0
    while sent < size:
        piece = await volume.run(os.pread, fd, min(_PIECE_BYTES, size - sent), sent)
        if not piece:
            # It became shorter meanwhile: whoever reads must not take it for whole.
            request.protocol.force_close()
            break
        await response.write(piece)
        sent += len(piece)
    return response


def _not_all_deleted(volume: Volume, failed: dict[str, OSError], count: int) -> Fault:
    """The first failure by its kind; every path that is still there, and why, in its facts."""
    faults = {path: fault_of(error, volume.name) for path, error in failed.items()}
    first = next(iter(faults.values()))
    why: dict[str, Any] = {path: fault.detail for path, fault in faults.items()}
    facts = {**first.facts, "paths": list(faults), "failed": why}
    return type(first)(f"{len(faults)} of {count} not deleted: {first.detail}", facts)
