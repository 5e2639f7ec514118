"""Downloads over HTTP: one file with ranges and validators, or a tree as a streamed archive."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from aiohttp import web

from backendai.common.beneath import check_regular, open_beneath, opened_directory
from backendai.common.faults import Fault
from backendai.common.logs import get_logger
from backendai.common.storage_faults import StorageInvalidParams

from ..archives.stream import FORMATS, make_stream, next_piece
from ..downloads.heads import (
    PROTECTION,
    UNKNOWN_TYPE,
    content_headers,
    disposition_of,
    etag_of,
    file_headers,
    is_unchanged,
    modified_at,
    takes_ranges,
)
from ..downloads.ranges import ByteRange, parse_ranges
from ..downloads.sending import send_range, write_piece
from ..handle import Handle
from ..tokens import Purpose
from .asking import Ask, Door

log = get_logger(__name__)

STARTED: Final = web.RequestKey("download_started", bool)
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class _OpenFile:
    handle: Handle
    stat: os.stat_result


class DownloadRoutes:
    """`idle_seconds` is how long a client may not read."""

    def __init__(self, door: Door, idle_seconds: float) -> None:
        self._door = door
        self._idle_seconds = idle_seconds

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/download", self.download)]

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Of HEAD too, then without the bytes."""
        ask = self._door.let_in(request, Purpose.DOWNLOAD)
        if ask.claims.archive or ask.claims.relpaths or ask.flag("archive"):
            return await self._send_archive(request, ask)
        file = await ask.volume.run(_open_file, ask)
        try:
            with _breaking_off(request):
                return await self._send_file(request, ask, file)
        finally:
            file.handle.release()

    async def _send_file(
        self, request: web.Request, ask: Ask, file: _OpenFile
    ) -> web.StreamResponse:
        etag, modified = etag_of(file.stat), modified_at(file.stat)
        headers = file_headers(file.stat, is_cached=not ask.flag("no_cache"))
        if is_unchanged(request.headers, etag, modified):
            return web.Response(status=304, headers=headers)
        headers |= content_headers(ask.path.name, wants_inline=ask.flag("inline"))
        size = file.stat.st_size
        asked = request.headers.get("Range") if request.method == "GET" else None
        ranges = parse_ranges(asked, size) if takes_ranges(request.headers, etag, modified) else ()
        if len(ranges) > 1:
            return await self._send_several(request, ask, file, headers, ranges)
        wanted = ranges[0] if ranges else ByteRange(0, size)
        response = web.StreamResponse(status=206 if ranges else 200, headers=headers)
        if ranges:
            response.headers["Content-Range"] = wanted.header(size)
        response.content_length = wanted.count
        await _begin(request, response)
        if wanted.count and request.method != "HEAD":
            await self._send(request, response, ask, file, wanted)
        await response.write_eof()
        return response

    async def _send_several(
        self,
        request: web.Request,
        ask: Ask,
        file: _OpenFile,
        headers: dict[str, str],
        ranges: tuple[ByteRange, ...],
    ) -> web.StreamResponse:
        """As multipart/byteranges."""
        boundary = token_hex(16)
        heads = [_part_head(boundary, headers, one, file.stat.st_size) for one in ranges]
        end = f"\r\n--{boundary}--\r\n".encode()
        response = web.StreamResponse(status=206, headers=headers)
        response.headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
        response.content_length = sum(
            len(head) + one.count for head, one in zip(heads, ranges, strict=True)
        ) + len(end)
        await _begin(request, response)
        for head, one in zip(heads, ranges, strict=True):
            await write_piece(response, head, self._idle_seconds)
            await self._send(request, response, ask, file, one)
        await write_piece(response, end, self._idle_seconds)
        await response.write_eof()
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        ask: Ask,
        file: _OpenFile,
        wanted: ByteRange,
    ) -> None:
        await send_range(request, response, ask.volume, file.handle, wanted, self._idle_seconds)

    async def _send_archive(self, request: web.Request, ask: Ask) -> web.StreamResponse:
        """Of unknown length, so a connection that ends early is how a failure shows."""
        word = ask.query.get("format", "zip")
        if word not in FORMATS:
            raise StorageInvalidParams("", {"format": f"must be one of {', '.join(FORMATS)}"})
        top = await ask.volume.run(_open_directory, ask)
        try:
            with _breaking_off(request):
                return await self._send_tree(request, ask, top, word)
        finally:
            top.release()

    async def _send_tree(
        self, request: web.Request, ask: Ask, top: Handle, word: str
    ) -> web.StreamResponse:
        made = FORMATS[word]
        name = f"{ask.path.name or 'folder'}{made.suffix}"
        headers = {
            **PROTECTION,
            "Content-Type": made.content_type,
            "Content-Disposition": disposition_of(name),
            "Cache-Control": "no-store",
        }
        response = web.StreamResponse(headers=headers)
        await _begin(request, response)
        if request.method != "HEAD":
            stream = make_stream(top, word, ask.claims.relpaths)
            try:
                while piece := await ask.volume.run(next_piece, stream):
                    await write_piece(response, piece, self._idle_seconds)
            finally:
                await ask.volume.run(stream.close)
        await response.write_eof()
        return response


async def _begin(request: web.Request, response: web.StreamResponse) -> None:
    await response.prepare(request)
    request[STARTED] = True


@contextmanager
def _breaking_off(request: web.Request) -> Iterator[None]:
    """What fails after the head was sent shows by a connection that breaks, as nothing else can."""
    try:
        yield
    except Fault as fault:
        if request.transport is None or not request.get(STARTED):
            raise
        log.warning("download.broke_off", code=fault.code, cause=repr(fault.__cause__))
        request.transport.abort()
        raise ConnectionResetError("the file system failed") from fault


def _open_file(ask: Ask) -> _OpenFile:
    """A regular file, which may be behind a link that stays inside. Raises OSError."""
    with ask.volume.opened_folder(ask.folder) as top:
        fd = open_beneath(top, ask.path, _OPEN)
    handle = Handle(fd)
    try:
        return _OpenFile(handle, check_regular(fd, ask.path))
    except BaseException:
        handle.release()
        raise


def _open_directory(ask: Ask) -> Handle:
    """Raises OSError (ENOTDIR for a file)."""
    with (
        ask.volume.opened_folder(ask.folder) as top,
        opened_directory(top, ask.path) as directory,
    ):
        return Handle(os.dup(directory))


def _part_head(boundary: str, headers: dict[str, str], one: ByteRange, size: int) -> bytes:
    kind = headers.get("Content-Type", UNKNOWN_TYPE)
    return (
        f"\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {one.header(size)}\r\n\r\n"
    ).encode()
