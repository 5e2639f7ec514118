"""One file out of a folder: beside its place until it is whole, going on where it broke off."""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Final

from backendai.client.faults import ConnectionLost, LocalFileFailed
from backendai.client.transport import Content
from backendai.client.vfolders.patience import Patience, is_expired, is_passing
from backendai.client.vfolders.proxy import StorageProxy, size_of
from backendai.client.vfolders.rows import Ticket
from backendai.client.vfolders.sending import OnBytes
from backendai.client.vfolders.trees import PART_PREFIX, PART_SUFFIX, Entry
from backendai.common.faults import Fault
from backendai.common.upload_faults import RangeRefused

WRITE_BYTES: Final = 1024 * 1024

Begin = Callable[[], Awaitable[Ticket]]


async def fetch_file(
    proxy: StorageProxy,
    entry: Entry,
    target: Path,
    begin: Begin,
    patience: Patience,
    on_bytes: OnBytes,
) -> None:
    """`entry` is how the file was listed; bytes of the same one that an earlier try has left are
    not fetched again. Raises LocalFileFailed and what the proxy refuses."""
    part = _part_of(target, entry)
    with _opened(part) as file:
        fetch = _Fetch(file, entry, on_bytes)
        ticket = await patience.ask(begin)
        while not fetch.is_whole:
            try:
                async with proxy.content(ticket, fetch.offset, fetch.validator) as content:
                    await fetch.take(content)
            except RangeRefused:
                await fetch.restart()
            except Fault as fault:
                is_spent = is_expired(fault)
                await patience.pause(fault, passes=is_spent or is_passing(fault))
                ticket = await patience.ask(begin) if is_spent else ticket
            patience.note(fetch.offset)
    _put(part, target, fetch.mtime)


async def digest_file(proxy: StorageProxy, begin: Begin, patience: Patience) -> bytes:
    """SHA-256 of what is in a folder, by reading all of it."""
    while True:
        digest = hashlib.sha256()
        try:
            async with proxy.content(await begin()) as content:
                async for piece in content.pieces:
                    digest.update(piece)
            return digest.digest()
        except Fault as fault:
            await patience.pause(fault, passes=is_passing(fault))


class _Fetch:
    """How much there is, and of which state of the file. What is whole from an earlier try is not
    asked for again."""

    def __init__(self, file: FileIO, entry: Entry, on_bytes: OnBytes) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._size = entry.size
        self.offset = file.seek(0, os.SEEK_END)
        self.mtime = entry.mtime
        self.validator = formatdate(int(entry.mtime), usegmt=True)

    @property
    def is_whole(self) -> bool:
        return self.offset == self._size

    async def restart(self) -> None:
        self.offset = 0
        await asyncio.to_thread(self._cut)

    async def take(self, content: Content) -> None:
        """Raises LocalFileFailed, ConnectionLost."""
        if content.status != HTTPStatus.PARTIAL_CONTENT:
            await self.restart()
        self._size = size_of(content, self.offset)
        self._note_state(content)
        async for data in gathered(content.pieces):
            await asyncio.to_thread(self._write, data)
            self.offset += len(data)
            self._on_bytes(self.offset)
        if not self.is_whole:
            raise ConnectionLost("The file ended early.")

    def _note_state(self, content: Content) -> None:
        self.validator = content.headers.get("etag", "")
        told = content.headers.get("last-modified")
        if told is not None and (at := parsedate_to_datetime(told).timestamp()) != int(self.mtime):
            self.mtime = at

    def _cut(self) -> None:
        with as_local(Path(self._file.name)):
            self._file.truncate(0)

    def _write(self, data: bytes) -> None:
        with as_local(Path(self._file.name)):
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]


async def gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """In amounts that are worth a write; also what came before it broke off."""
    held = bytearray()
    try:
        async for piece in pieces:
            held += piece
            if len(held) >= WRITE_BYTES:
                yield bytes(held)
                held.clear()
    except Fault:
        yield bytes(held)
        raise
    yield bytes(held)


def _part_of(target: Path, entry: Entry) -> Path:
    """One name for one state of the file, so that parts of another are never gone on with."""
    words = f"{target.name}/{entry.size}/{entry.mtime}".encode("utf-8", "surrogateescape")
    name = hashlib.sha256(words).hexdigest()[:16]
    return target.with_name(f"{PART_PREFIX}{name}{PART_SUFFIX}")


@contextmanager
def _opened(part: Path) -> Iterator[FileIO]:
    with as_local(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(part, "ab+", opener=_open_itself)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LocalFileFailed(f"{part}: another download writes to it.") from error
        yield file


def _open_itself(path: str, flags: int) -> int:
    """Never what a link leads to, which others may have put there."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _put(part: Path, target: Path, mtime: float) -> None:
    with as_local(target):
        os.utime(part, (mtime, mtime))
        part.replace(target)


@contextmanager
def as_local(path: Path) -> Iterator[None]:
    """So that what fails here is never taken for a broken connection."""
    try:
        yield
    except OSError as error:
        raise LocalFileFailed.of(error, path) from error
