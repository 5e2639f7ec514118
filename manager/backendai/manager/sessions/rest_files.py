"""REST of files below /home/work of a session: upload, download, list."""

import asyncio
import posixpath
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import Final
from urllib.parse import unquote

import msgspec
import trafaret as t
from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError

from backendai.common.contracts.agent import FILE_CHUNK_BYTES
from backendai.common.faults import BadRequest, InvalidParams
from backendai.common.http import json_response
from backendai.common.params import check_params, read_query
from backendai.manager.gate.routes import ACTOR, Route

from . import actions
from .rest import owner_keys, read_scope
from .service import Sessions
from .work import Place, SessionWork

UPLOAD_FILES_MAX: Final = 20
UPLOAD_BYTES_MAX: Final = 256 * 1024 * 1024
DOWNLOAD_PATHS_MAX: Final = 5
PATH_CHARS_MAX: Final = 1024

_PATH: Final = t.String(max_length=PATH_CHARS_MAX)
_DOWNLOAD: Final = owner_keys(
    t.Key("files", trafaret=t.List(_PATH, min_length=1, max_length=DOWNLOAD_PATHS_MAX))
)
_SINGLE: Final = owner_keys(t.Key("file", trafaret=_PATH))
_LIST: Final = owner_keys(t.Key("path", optional=True, default=".", trafaret=_PATH))
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, work: SessionWork) -> list[Route]:
    handlers = _Handlers(sessions, work)
    return [
        Route(
            "POST",
            "/session/{session}/upload",
            handlers.upload,
            actions.WRITE_FILES,
            _OWNER,
            "multipart/form-data",
        ),
        Route(
            "GET", "/session/{session}/download", handlers.download, actions.READ_FILES, _DOWNLOAD
        ),
        Route(
            "POST", "/session/{session}/download", handlers.download, actions.READ_FILES, _DOWNLOAD
        ),
        Route(
            "GET",
            "/session/{session}/download_single",
            handlers.single,
            actions.READ_FILES,
            _SINGLE,
        ),
        Route(
            "POST",
            "/session/{session}/download_single",
            handlers.single,
            actions.READ_FILES,
            _SINGLE,
        ),
        Route("GET", "/session/{session}/files", handlers.list, actions.READ_FILES, _LIST),
    ]


class _Handlers:
    def __init__(self, sessions: Sessions, work: SessionWork) -> None:
        self._sessions = sessions
        self._work = work

    async def upload(self, request: web.Request) -> web.Response:
        owner = check_params(read_query(request), _OWNER).get("owner_access_key") or None
        reference = request.match_info["session"]
        actor_scope = await self._sessions.scope_of(request[ACTOR], owner, reference)
        place = await self._work.locate(actor_scope, reference)
        count, room = 0, UPLOAD_BYTES_MAX
        async for part in _parts_of(request):
            count += 1
            if not isinstance(part, BodyPartReader) or not part.filename:
                raise InvalidParams(facts={"src": "each part must be a file with a name"})
            if count > UPLOAD_FILES_MAX:
                raise InvalidParams(facts={"src": f"at most {UPLOAD_FILES_MAX} files at once"})
            budget = _Budget(room)
            path = check_path(_name_of(part))
            await self._work.upload(place, path, budget.chunks(part))
            room = budget.left
        return web.Response(status=204)

    async def download(self, request: web.Request) -> web.StreamResponse:
        scope, reference, params = await read_scope(request, self._sessions, _DOWNLOAD)
        paths = [check_path(path) for path in params["files"]]
        place = await self._work.locate(scope, reference)
        async with AsyncExitStack() as stack:
            archives = [await self._open(stack, place, path) for path in paths]
            return await _send_archives(request, paths, archives)

    async def single(self, request: web.Request) -> web.StreamResponse:
        scope, reference, params = await read_scope(request, self._sessions, _SINGLE)
        path = check_path(params["file"])
        place = await self._work.locate(scope, reference)
        async with AsyncExitStack() as stack:
            archive = await self._open(stack, place, path)
            response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
            await response.prepare(request)
            async for chunk in archive:
                await response.write(chunk)
            await response.write_eof()
            return response

    async def list(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _LIST)
        path = check_path(params["path"])
        place = await self._work.locate(scope, reference)
        found = await self._work.list_files(place, path)
        files = msgspec.json.encode(found.files).decode("utf-8")
        return json_response({"files": files, "errors": found.errors, "abspath": found.abspath})

    async def _open(self, stack: AsyncExitStack, place: Place, path: str) -> AsyncIterator[bytes]:
        """The chunks of an archive whose first one is here already, so that faults come early."""
        chunks = await stack.enter_async_context(aclosing(self._work.download(place, path)))
        first = await anext(chunks)

        async def all_chunks() -> AsyncIterator[bytes]:
            yield first
            async for chunk in chunks:
                yield chunk

        return all_chunks()


def _name_of(part: BodyPartReader) -> str:
    """The path of an uploaded file. Clients percent-encode it in the plain parameter."""
    name = part.filename or ""
    disposition = part.headers.get("Content-Disposition", "")
    return name if "filename*" in disposition else unquote(name)


class _Budget:
    """Cuts a part into chunks for the agent and refuses more than `left` bytes in all."""

    def __init__(self, left: int) -> None:
        self.left = left

    async def chunks(self, part: BodyPartReader) -> AsyncIterator[bytes]:
        held = bytearray()
        while block := await self._read(part):
            self.left -= len(block)
            if self.left < 0:
                raise InvalidParams(
                    facts={"src": f"at most {UPLOAD_BYTES_MAX // 1024**2} MiB at once"}
                )
            held += block
            if len(held) >= FILE_CHUNK_BYTES:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)

    async def _read(self, part: BodyPartReader) -> bytes:
        with _bad_form_told():
            return await part.read_chunk(256 * 1024)


def check_path(path: str) -> str:
    """A path relative to, or absolute below, /home/work. Raises InvalidParams.

    The runner walks it again inside the container; this only turns nonsense away early.
    """
    relative = posixpath.relpath(path, "/home/work") if path.startswith("/") else path
    clean = posixpath.normpath(relative)
    if not path or len(path) > PATH_CHARS_MAX or "\0" in path or clean.split("/")[0] == "..":
        raise InvalidParams(facts={"path": f"{path[:100]!r} is not below /home/work"})
    return clean


async def _parts_of(request: web.Request) -> AsyncIterator[MultipartReader | BodyPartReader]:
    """Raises BadRequest where the body is not in the form that its header says."""
    with _bad_form_told():
        reader = await _multipart_of(request)
    while True:
        with _bad_form_told():
            part = await reader.next()
        if part is None:
            return
        yield part


@contextmanager
def _bad_form_told() -> Iterator[None]:
    """The reader of parts tells of their form by exceptions of many kinds."""
    try:
        yield
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as error:
        told = getattr(error, "message", "") or str(error) or type(error).__name__
        raise BadRequest(f"The body is no whole multipart/form-data: {told}") from error


async def _multipart_of(request: web.Request) -> MultipartReader:
    if not request.content_type.startswith("multipart/"):
        raise BadRequest("Send the files as multipart/form-data.")
    if not request.content.at_eof():
        return await request.multipart()
    # The signature covered the body, so it was read already.
    loop = asyncio.get_running_loop()
    body = await request.read()
    # A limit above what is fed: there is no connection behind it that could be paused.
    stream = StreamReader(BaseProtocol(loop), max(len(body), 2**16), loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    return MultipartReader(request.headers, stream)


async def _send_archives(
    request: web.Request, paths: list[str], archives: list[AsyncIterator[bytes]]
) -> web.StreamResponse:
    boundary = secrets.token_hex(16)
    response = web.StreamResponse(headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})
    await response.prepare(request)
    for path, archive in zip(paths, archives, strict=True):
        name = posixpath.basename(path).encode("ascii", "replace").decode().replace('"', "_")
        head = (
            f"--{boundary}\r\nContent-Type: application/x-tar\r\nContent-Encoding: identity\r\n"
            f'Content-Disposition: attachment; filename="{name}.tar"\r\n\r\n'
        )
        await response.write(head.encode("ascii"))
        async for chunk in archive:
            await response.write(chunk)
        await response.write(b"\r\n")
    await response.write(f"--{boundary}--\r\n".encode("ascii"))
    await response.write_eof()
    return response
