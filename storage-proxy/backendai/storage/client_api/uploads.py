"""The tus protocol 1.0 over HTTP: creation, termination, checksum and expiration."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from backendai.common.paths import RelPath, parse_relpath
from backendai.common.storage_faults import StorageInvalidParams
from backendai.common.upload_faults import TokenRefused, UploadTypeRefused

from ..grants import Grants
from ..tokens import Purpose
from ..uploads.headers import (
    CONTENT_TYPE,
    VERSION,
    check_content_type,
    check_version,
    discovery_headers,
    read_checksum,
    read_length,
    read_metadata,
    read_modified,
    read_offset,
    read_one,
    status_headers,
)
from ..uploads.record import check_size
from ..uploads.service import Aim, Chunk, Uploads
from .asking import Ask, Door

OVERRIDE: Final = "X-HTTP-Method-Override"


class RequestBody:
    """The body of a request; that it broke off is a ConnectionResetError, however it did."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._read_bytes = 0

    @property
    def has_come(self) -> bool:
        return self._content.total_bytes > self._read_bytes

    async def readany(self) -> bytes:
        """As it came: to join what has come would copy it."""
        try:
            piece, is_chunk_end = await self._content.readchunk()
            while is_chunk_end and not piece:
                piece, is_chunk_end = await self._content.readchunk()
            self._read_bytes += len(piece)
            return piece
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise ConnectionResetError("the body broke off") from error


class UploadRoutes:
    def __init__(self, door: Door, uploads: Uploads, grants: Grants) -> None:
        self._door = door
        self._uploads = uploads
        self._grants = grants

    def routes(self) -> list[web.RouteDef]:
        return [
            web.options("/upload", self.discover),
            web.post("/upload", self.create),
            web.head("/upload", self.show),
            web.patch("/upload", self.append),
            web.delete("/upload", self.drop),
        ]

    async def discover(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers=discovery_headers(self._uploads.limits.bytes_max))

    async def show(self, request: web.Request) -> web.Response:
        check_version_if_given(request)
        ask, upload = self._ask(request)
        state = await self._uploads.find(ask.volume, upload, read_aim(request, ask))
        return web.Response(headers=status_headers(state.record, state.offset))

    async def append(self, request: web.Request) -> web.Response:
        ask, upload = self._ask(request)
        check_version(request.headers)
        check_content_type(request.content_type)
        chunk = read_chunk(request, read_offset(request.headers))
        aim = read_aim(request, ask)
        state = await self._uploads.append(ask.volume, upload, chunk, aim)
        return web.Response(status=204, headers=status_headers(state.record, state.offset))

    async def drop(self, request: web.Request) -> web.Response:
        ask, upload = self._ask(request)
        check_version(request.headers)
        await self._uploads.drop(ask.volume, upload)
        return web.Response(status=204, headers={"Tus-Resumable": VERSION})

    async def create(self, request: web.Request) -> web.Response:
        """201 with the address of the new upload, and its offset when the request had bytes."""
        match request.headers.get(OVERRIDE, "").upper():
            case "PATCH":
                return await self.append(request)
            case "DELETE":
                return await self.drop(request)
        ask = self._door.let_in(request, Purpose.CREATE)
        check_version(request.headers)
        size = read_length(request.headers)
        check_size(size, ask.claims.size or 0)
        metadata = read_metadata(request.headers)
        path = _named_path(request, ask, metadata)
        modified_ns = read_modified(metadata)
        chunk = _first_chunk(request)
        token, record = await self._grants.begin_upload(
            ask.volume, ask.folder, path, size, modified_ns
        )
        offset = 0
        if chunk is not None and size:
            offset = (await self._uploads.append(ask.volume, record.id, chunk)).offset
        headers = status_headers(record, offset) | {"Location": f"/upload?token={token}"}
        return web.Response(status=201, headers=headers)

    def _ask(self, request: web.Request) -> tuple[Ask, str]:
        ask = self._door.let_in(request, Purpose.UPLOAD)
        if ask.claims.session is None:
            raise TokenRefused
        return ask, ask.claims.session


def check_version_if_given(request: web.Request) -> None:
    """Whoever only looks may leave it out. Raises UploadVersionRefused."""
    if "Tus-Resumable" in request.headers:
        check_version(request.headers)


def read_chunk(request: web.Request, offset: int) -> Chunk:
    """Raises StorageInvalidParams, UploadTypeRefused."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UploadTypeRefused("Bytes are taken as they are, without Content-Encoding.")
    checksum = read_checksum(request.headers)
    length = request.content_length
    if checksum is not None and length is None:
        raise StorageInvalidParams("", {"Upload-Checksum": "needs a Content-Length"})
    return Chunk(offset, length, checksum, RequestBody(request))


def _first_chunk(request: web.Request) -> Chunk | None:
    """Raises StorageInvalidParams, UploadTypeRefused."""
    if not request.body_exists:
        return None
    if request.content_type != CONTENT_TYPE:
        raise UploadTypeRefused(f"A body must be of the content type {CONTENT_TYPE}.")
    return read_chunk(request, 0)


def read_aim(request: web.Request, ask: Ask) -> Aim:
    """Metadata may also come later than the protocol has it: managers begin uploads for clients.

    Raises StorageInvalidParams.
    """
    return Aim(ask.dst_dir, read_modified(read_metadata(request.headers)))


def _named_path(request: web.Request, ask: Ask, metadata: Mapping[str, str]) -> RelPath:
    """Where the client wants it: `relativePath`, or `filename`. Raises StorageInvalidParams."""
    if read_one(request.headers, "Upload-Defer-Length") is not None:
        raise StorageInvalidParams("", {"Upload-Defer-Length": "send Upload-Length instead"})
    named = parse_relpath(metadata.get("relativePath") or metadata.get("filename") or "")
    if named.is_top:
        raise StorageInvalidParams("", {"Upload-Metadata": "must name a filename"})
    return RelPath((*ask.path.names, *named.names))
