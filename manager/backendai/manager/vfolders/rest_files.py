"""REST of the files in folders; their bytes go between clients and storage proxies."""

import asyncio
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.manager.gate.routes import ACTOR, Route

from . import actions, render
from .files import FolderFiles
from .proxies import Ticket

PATH_CHARS_MAX: Final = 4096
PATHS_MAX: Final = 1000


def _with_path(params: dict[str, Any]) -> dict[str, Any]:
    if "path" not in params and "files" not in params:
        raise ValueError("path is missing: name the file or directory to download")
    return params


_PATH: Final = t.String(max_length=PATH_CHARS_MAX)
_PATHS: Final = t.List(_PATH, min_length=1, max_length=PATHS_MAX)
_MKDIR: Final = t.Dict(
    t.Key("path", trafaret=_PATH | _PATHS),
    t.Key("parents", optional=True, default=True, trafaret=t.ToBool()),
    t.Key("exist_ok", optional=True, default=False, trafaret=t.ToBool()),
)
_LIST: Final = t.Dict(
    t.Key(
        "path",
        optional=True,
        default="",
        trafaret=t.String(allow_blank=True, max_length=PATH_CHARS_MAX),
    )
)
_RENAME: Final = t.Dict(
    t.Key("target_path", trafaret=_PATH),
    t.Key("new_name", trafaret=t.String(max_length=255)),
    t.Key("is_dir", optional=True, trafaret=t.ToBool()),
)
_MOVE: Final = t.Dict(t.Key("src", trafaret=_PATH), t.Key("dst", trafaret=_PATH))
_DELETE: Final = t.Dict(
    t.Key("files", trafaret=_PATHS),
    t.Key("recursive", optional=True, default=False, trafaret=t.ToBool()),
)
_UPLOAD: Final = t.Dict(
    t.Key("path", trafaret=_PATH), t.Key("size", trafaret=t.ToInt(gte=0, lte=(1 << 63) - 1))
)
_DOWNLOAD: Final = t.Dict(
    t.Key("path", optional=True, trafaret=_PATH),
    t.Key("file", optional=True, to_name="path", trafaret=_PATH),
    t.Key("archive", optional=True, default=False, trafaret=t.ToBool()),
    # Below `path`, or the top: one archive of these.
    t.Key("files", optional=True, trafaret=_PATHS),
) & checked(_with_path)
_EXTRACT: Final = t.Dict(
    t.Key("path", trafaret=_PATH),
    t.Key("into", optional=True, default=".", trafaret=_PATH),
    t.Key("remove", optional=True, default=False, trafaret=t.ToBool()),
)


def routes(files: FolderFiles) -> list[Route]:
    handlers, base = _Handlers(files), "/folders/{folder}"
    changes = [
        ("POST", "mkdir", handlers.mkdir, _MKDIR),
        ("POST", "rename-file", handlers.rename_file, _RENAME),
        ("POST", "rename_file", handlers.rename_file, _RENAME),
        ("POST", "move-file", handlers.move_file, _MOVE),
        ("POST", "copy-file", handlers.copy_file, _MOVE),
        ("DELETE", "delete-files", handlers.delete_files, _DELETE),
        ("DELETE", "delete_files", handlers.delete_files, _DELETE),
    ]
    return [
        *(
            Route(method, f"{base}/{word}", handler, actions.MODIFY_FILES, params)
            for method, word, handler, params in changes
        ),
        Route("GET", f"{base}/files", handlers.list_files, actions.READ, _LIST),
        Route("POST", f"{base}/request-upload", handlers.upload, actions.UPLOAD, _UPLOAD),
        Route("POST", f"{base}/request-extract", handlers.extract, actions.UPLOAD, _EXTRACT),
        Route("POST", f"{base}/request-download", handlers.download, actions.DOWNLOAD, _DOWNLOAD),
    ]


class _Handlers:
    def __init__(self, files: FolderFiles) -> None:
        self._files = files

    async def mkdir(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _MKDIR)
        paths = params["path"] if isinstance(params["path"], list) else [params["path"]]
        results = await self._files.mkdir(
            request[ACTOR],
            _named(request),
            paths,
            parents=params["parents"],
            exist_ok=params["exist_ok"],
        )
        is_whole = all(one.fault is None for one in results)
        return json_response(render.made(results), status=201 if is_whole else 207)

    async def list_files(self, request: web.Request) -> web.Response:
        path = (await read_given_params(request, _LIST))["path"]
        found = await self._files.list_files(request[ACTOR], _named(request), path or ".")
        # There may be very many: others are served meanwhile.
        return json_response(await asyncio.to_thread(render.files, found))

    async def rename_file(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _RENAME)
        await self._files.rename_file(
            request[ACTOR], _named(request), params["target_path"], params["new_name"]
        )
        return json_response({})

    async def move_file(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _MOVE)
        await self._files.move_file(request[ACTOR], _named(request), params["src"], params["dst"])
        return json_response({})

    async def copy_file(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _MOVE)
        await self._files.copy_file(request[ACTOR], _named(request), params["src"], params["dst"])
        return json_response({})

    async def delete_files(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _DELETE)
        await self._files.delete_files(
            request[ACTOR], _named(request), params["files"], recursive=params["recursive"]
        )
        return json_response({})

    async def upload(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _UPLOAD)
        ticket = await self._files.begin_upload(
            request[ACTOR], _named(request), params["path"], params["size"]
        )
        return _ticket(ticket)

    async def extract(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _EXTRACT)
        ticket = await self._files.begin_extraction(
            request[ACTOR],
            _named(request),
            params["path"],
            params["into"],
            removes=params["remove"],
        )
        return _ticket(ticket)

    async def download(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _DOWNLOAD)
        actor, folder, path = request[ACTOR], _named(request), params.get("path", ".")
        if "files" in params:
            return _ticket(await self._files.begin_selection(actor, folder, path, params["files"]))
        ticket = await self._files.begin_download(actor, folder, path, archive=params["archive"])
        return _ticket(ticket)


def _ticket(ticket: Ticket) -> web.Response:
    return json_response({"token": ticket.token, "url": ticket.url})


def _named(request: web.Request) -> str:
    return request.match_info["folder"]
