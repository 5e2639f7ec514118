"""Archives as they are sent: made piece by piece, each when the client has taken the last. Blocks.

Memory is bounded by a piece, and by the names for the directory at the end of a zip file.
"""

import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..handle import Handle
from .entries import Entry, list_entries

PIECE_BYTES: Final = 1 << 20
_READ_BYTES: Final = 1 << 18
_BLOCK: Final = 512
_ZIP_TIMES: Final = (datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC))
_ZIP64_BYTES: Final = 1 << 31
_ZIP_LEVEL: Final = 1
_UNIX: Final = 3


class ArchiveStream:
    """Pieces of an archive. One thread at a time asks for the next."""

    def __init__(self, top: Handle, pieces: Callable[[int], Iterator[bytes]]) -> None:
        self._guard = threading.Lock()
        self._pieces = _within(top, pieces)

    def next(self) -> bytes:
        """About PIECE_BYTES; empty at the end. Raises OSError."""
        with self._guard:
            batch, size = [], 0
            for piece in self._pieces:
                batch.append(piece)
                size += len(piece)
                if size >= PIECE_BYTES:
                    break
            return b"".join(batch)

    def close(self) -> None:
        with self._guard:
            self._pieces.close()


def _within(top: Handle, pieces: Callable[[int], Iterator[bytes]]) -> Generator[bytes, None, None]:
    with top.used() as fd:
        yield from pieces(fd)


@dataclass(frozen=True, slots=True)
class Format:
    suffix: str
    content_type: str
    pieces: Callable[[Iterator[Entry]], Iterator[bytes]]


def make_stream(top: Handle, word: str, selection: tuple[str, ...]) -> ArchiveStream:
    """Of the directory `top`, or of the selected paths below it."""
    made = FORMATS[word]
    return ArchiveStream(top, lambda fd: made.pieces(list_entries(fd, selection)))


def next_piece(stream: ArchiveStream) -> bytes:
    return stream.next()


def tar_pieces(entries: Iterator[Entry]) -> Iterator[bytes]:
    """A POSIX tar. A file that became shorter is filled with zeros, one that grew is cut."""
    for entry in entries:
        yield _tar_head(entry)
        if entry.fd is not None:
            yield from _exactly(entry.fd, entry.stat.st_size)
            yield b"\0" * (-entry.stat.st_size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


def _tar_head(entry: Entry) -> bytes:
    made = tarfile.TarInfo(entry.name)
    made.mode = entry.stat.st_mode & 0o777
    made.mtime = int(entry.stat.st_mtime)
    if entry.fd is None:
        made.type = tarfile.DIRTYPE
    else:
        made.size = entry.stat.st_size
    return made.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _exactly(fd: int, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = os.read(fd, min(_READ_BYTES, left))
        if not piece:
            break
        left -= len(piece)
        yield piece
    while left:
        filling = min(_READ_BYTES, left)
        left -= filling
        yield b"\0" * filling


class _Sink:
    """What a zip file is written to: it cannot be sought in, and is emptied all the time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def close(self) -> None:
        return

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def zip_pieces(entries: Iterator[Entry]) -> Iterator[bytes]:
    """A zip file, with 64-bit sizes where they are needed."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL) as made:
        for entry in entries:
            if entry.fd is None:
                made.writestr(_zip_info(entry), b"")
            else:
                yield from _zip_file(made, sink, entry, entry.fd)
            yield sink.take()
    yield sink.take()


def _zip_file(made: zipfile.ZipFile, sink: _Sink, entry: Entry, fd: int) -> Iterator[bytes]:
    is_large = entry.stat.st_size >= _ZIP64_BYTES
    with made.open(_zip_info(entry), "w", force_zip64=is_large) as out:
        for piece in _exactly(fd, entry.stat.st_size):
            out.write(piece)
            yield sink.take()


def _zip_info(entry: Entry) -> zipfile.ZipInfo:
    name = entry.name.replace("\\", "_").encode("utf-8", "replace").decode()
    at = min(max(datetime.fromtimestamp(entry.stat.st_mtime, UTC), _ZIP_TIMES[0]), _ZIP_TIMES[1])
    info = zipfile.ZipInfo(name + "/" * (entry.fd is None), at.timetuple()[:6])
    info.create_system = _UNIX
    info.external_attr = (entry.stat.st_mode & 0o170777) << 16
    if entry.fd is None:
        info.external_attr |= 0x10
    else:
        info.compress_type = zipfile.ZIP_DEFLATED
    return info


FORMATS: Final[Mapping[str, Format]] = {
    "zip": Format(".zip", "application/zip", zip_pieces),
    "tar": Format(".tar", "application/x-tar", tar_pieces),
}
