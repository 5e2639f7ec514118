"""The file browser of the home: its page, and the few requests that the page makes.

It acts as the user, who may reach more by other ways; that it stays below the home is for order.
"""

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from backendai.kernel.apps.main import Close, Situation
from backendai.kernel.apps.web import SECURITY_HEADERS, is_same_origin, start_site

PAGE: Final = Path(__file__).with_name("page")
STATIC: Final = {
    "/": ("files.html", "text/html"),
    "/files.js": ("files.js", "text/javascript"),
    "/files.css": ("files.css", "text/css"),
}
ENTRIES_MAX: Final = 10_000
PIECE_BYTES: Final = 256 * 1024
# A file of the user's must not become a page of ours.
FILE_HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serve(listener: socket.socket, situation: Situation) -> Close:
    browser = Browser(situation.work_dir)
    app = web.Application(middlewares=[guard])
    for path in STATIC:
        app.router.add_get(path, send_static)
    app.router.add_get("/api/list", browser.list_folder)
    app.router.add_get("/api/file", browser.send)
    app.router.add_put("/api/file", browser.receive)
    app.router.add_delete("/api/file", browser.delete)
    app.router.add_post("/api/folder", browser.make_folder)
    app.router.add_post("/api/move", browser.move)
    return await start_site(app, listener)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what other sites have a browser ask, and says in words what does not work."""
    if request.path.startswith("/api/") and not is_same_origin(request):
        return _fail(403, "this page must not use the files here")
    try:
        return await handler(request)
    except BadPath as error:
        return _fail(400, str(error))
    except FileNotFoundError:
        return _fail(404, "there is nothing of that name")
    except FileExistsError:
        return _fail(409, "there is something of that name already")
    except PermissionError:
        return _fail(403, "the session's user may not do that")
    except OSError as error:
        return _fail(409, (error.strerror or "it cannot be done").lower())


class BadPath(ValueError):
    """A path that is none below the home."""


async def send_static(request: web.Request) -> web.Response:
    name, mime = STATIC[request.path]
    body = await asyncio.to_thread((PAGE / name).read_bytes)
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache"}
    return web.Response(body=body, content_type=mime, charset="utf-8", headers=headers)


class Browser:
    """What the page asks for, each with `?path=` below the home."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def list_folder(self, request: web.Request) -> web.StreamResponse:
        """`{"entries": [{name, kind, size, modified_at, is_link}], "is_whole": bool}`."""
        return web.json_response(await asyncio.to_thread(list_entries, self._find(request)))

    async def send(self, request: web.Request) -> web.StreamResponse:
        path = self._find(request)
        if not await asyncio.to_thread(path.is_file):
            return _fail(404, "there is no file of that name")
        response = web.FileResponse(path, headers=FILE_HEADERS)
        response.content_type = "application/octet-stream"
        response.headers["Content-Disposition"] = make_disposition(path.name)
        return response

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """The body is the file; it takes its place when it is whole."""
        path = self._find(request, is_below=True)
        part = path.with_name(f".{path.name[:200]}.{os.urandom(6).hex()}.part")
        try:
            with await asyncio.to_thread(part.open, "xb") as file:
                async for piece in request.content.iter_chunked(PIECE_BYTES):
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(part.replace, path)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return web.json_response({}, status=201)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """A folder with all that is in it; of a link only the link."""
        await asyncio.to_thread(remove, self._find(request, is_below=True))
        return web.json_response({})

    async def make_folder(self, request: web.Request) -> web.StreamResponse:
        path = self._find(request, is_below=True)
        await asyncio.to_thread(path.mkdir)
        return web.json_response({}, status=201)

    async def move(self, request: web.Request) -> web.StreamResponse:
        """`&to=<path>`, where nothing may be yet."""
        source = self._find(request, is_below=True)
        target = self._find(request, "to", is_below=True)
        await asyncio.to_thread(rename, source, target)
        return web.json_response({})

    def _find(self, request: web.Request, name: str = "path", *, is_below: bool = False) -> Path:
        """Raises BadPath."""
        words = [word for word in request.query.get(name, "").split("/") if word not in ("", ".")]
        if ".." in words or any("\0" in word for word in words):
            raise BadPath(f"{name}: it has to be a path below the home")
        if is_below and not words:
            raise BadPath(f"{name}: the home itself cannot be changed")
        return self._root.joinpath(*words)


def list_entries(folder: Path) -> dict[str, Any]:
    """Folders first, by name; raises OSError."""
    entries: list[dict[str, Any]] = []
    with os.scandir(folder) as found:
        for entry in found:
            if len(entries) == ENTRIES_MAX:
                return {"entries": _sorted(entries), "is_whole": False}
            entries.append(_describe(entry))
    return {"entries": _sorted(entries), "is_whole": True}


def _sorted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: (entry["kind"] != "folder", entry["name"].lower()))


def _describe(entry: "os.DirEntry[str]") -> dict[str, Any]:
    """Of a link, what it leads to; `other` is what is neither file nor folder, or leads nowhere."""
    # A name that is no text is shown with marks in place of what is none.
    facts = {"name": os.fsencode(entry.name).decode("utf-8", "replace")}
    try:
        found = entry.stat()
    except OSError:
        return {**facts, "kind": "other", "size": 0, "modified_at": 0.0, "is_link": True}
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "other"
    return {
        **facts,
        "kind": "file" if stat.S_ISREG(found.st_mode) else kind,
        "size": found.st_size,
        "modified_at": found.st_mtime,
        "is_link": entry.is_symlink(),
    }


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def rename(source: Path, target: Path) -> None:
    """Raises FileExistsError rather than replace something."""
    if os.path.lexists(target):
        raise FileExistsError(target)
    source.rename(target)


def make_disposition(name: str) -> str:
    """Of a download, with a name of any letters."""
    quoted = "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}"
        for byte in name.encode("utf-8", "surrogateescape")
    )
    return f"attachment; filename*=UTF-8''{quoted}"


def _fail(status: int, title: str) -> web.Response:
    return web.json_response({"title": title}, status=status)
