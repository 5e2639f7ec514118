"""Reading archives that nobody vouches for: tar, compressed or not, and zip. Blocks.

Nothing here is larger in memory than a few pieces, whatever the archive claims; what it claims
about links, devices and owners is only told, never made.
"""

import bz2
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from backendai.common.upload_faults import ArchiveRefused

PIECE_BYTES: Final = 1 << 18
# All that is read ahead is copied with each head.
_TAR_BYTES: Final = 32 << 10
# What a tar may need to say about one member; longer ones are made to fill memory.
HEAD_BYTES_MAX: Final = 4 << 20
# The directory at the end of a zip file is held in memory.
DIRECTORY_BYTES_MAX: Final = 32 << 20
_XZ_MEMORY_MAX: Final = 256 << 20
_ZIP_END: Final = struct.Struct("<4s4H2LH")
_ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    UnicodeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """`refusal` says why it is not unpacked; `pieces` gives the bytes of a file, once."""

    name: str
    is_directory: bool
    mode: int
    modified: float
    refusal: str
    pieces: Callable[[], Iterator[bytes]]


def list_members(fd: int) -> Iterator[Member]:
    """Those of the archive that is open at `fd`. Raises ArchiveRefused, OSError."""
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        head = file.read(600)
        file.seek(0)
        try:
            if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                yield from _zip_members(file)
            else:
                yield from _tar_members(Decompressed(file, head))
        except DAMAGE as error:
            raise ArchiveRefused("It is damaged, or of no kind that is known.") from error


class Decompressed(io.RawIOBase):
    """The bytes of a file that may be compressed. `allowance` is how many may still be read."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        super().__init__()
        self._file = file
        self._make = _decompressor_of(head)
        self._unpacking: Any = self._make() if self._make else None
        self._pending = b""
        self.allowance: int | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._read(PIECE_BYTES if size < 0 else min(size, PIECE_BYTES))
        if self.allowance is not None:
            self.allowance -= len(piece)
            if self.allowance < 0:
                raise ArchiveRefused("What it says of one of its members has no end.")
        return piece

    def _read(self, size: int) -> bytes:
        if self._unpacking is None:
            return self._file.read(size)
        while True:
            if self._unpacking.eof and not self._begin_next():
                return b""
            piece: bytes = self._unpack(size)
            if piece:
                return piece
            if not self._pending and not self._unpacking.eof:
                self._pending = self._file.read(PIECE_BYTES)
                if not self._pending:
                    raise EOFError("it breaks off")

    def _unpack(self, size: int) -> bytes:
        given, self._pending = self._pending, b""
        try:
            piece: bytes = self._unpacking.decompress(given, size)
        except OSError as error:
            # So bz2 says that the bytes are wrong; nothing was read here.
            raise ValueError("it is damaged") from error
        self._pending = getattr(self._unpacking, "unconsumed_tail", b"")
        return piece

    def _begin_next(self) -> bool:
        """Several compressed files in a row are one."""
        rest = self._unpacking.unused_data or self._file.read(PIECE_BYTES)
        assert self._make is not None
        if not rest.strip(b"\0"):
            return False
        self._unpacking, self._pending = self._make(), rest
        return True


def _decompressor_of(head: bytes) -> Callable[[], Any] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda: zlib.decompressobj(wbits=31)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if head.startswith(b"\xfd7zXZ\0"):
        return lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_MAX)
    return None


def _tar_members(reader: Decompressed) -> Iterator[Member]:
    reader.allowance = HEAD_BYTES_MAX
    with tarfile.open(fileobj=reader, mode="r|", errorlevel=2, bufsize=_TAR_BYTES) as archive:
        while True:
            found = archive.next()
            if found is None:
                return
            # It would remember all of them until the end.
            vars(archive).update(members=[])
            reader.allowance = None
            yield _tar_member(archive, found)
            # What was not read of this one is passed over with the next head.
            reader.allowance = found.size + HEAD_BYTES_MAX


def _tar_member(archive: tarfile.TarFile, found: tarfile.TarInfo) -> Member:
    def pieces() -> Iterator[bytes]:
        if found.issparse():
            yield from _sparse_pieces(archive, found)
        else:
            yield from _plain_pieces(archive, found)

    return Member(
        name=found.name,
        is_directory=found.isdir(),
        mode=found.mode,
        modified=float(found.mtime),
        refusal=_tar_refusal(found),
        pieces=pieces,
    )


def _plain_pieces(archive: tarfile.TarFile, found: tarfile.TarInfo) -> Iterator[bytes]:
    """Without the layers of a file object, which cost as much as a small file."""
    stream, left = archive.fileobj, found.size
    assert stream is not None
    stream.seek(found.offset_data)
    while left:
        piece = stream.read(min(PIECE_BYTES, left))
        if not piece:
            raise tarfile.ReadError("it breaks off")
        left -= len(piece)
        yield piece


def _sparse_pieces(archive: tarfile.TarFile, found: tarfile.TarInfo) -> Iterator[bytes]:
    opened = archive.extractfile(found)
    if opened is not None:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _tar_refusal(found: tarfile.TarInfo) -> str:
    if found.issym() or found.islnk():
        return "a link"
    if found.isdev():
        return "a device or a pipe"
    return "" if found.isfile() or found.isdir() else "of a kind that is not known"


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    _check_zip_directory(file)
    with zipfile.ZipFile(file) as archive:
        for found in archive.infolist():
            yield _zip_member(archive, found)


def _zip_member(archive: zipfile.ZipFile, found: zipfile.ZipInfo) -> Member:
    def pieces() -> Iterator[bytes]:
        with archive.open(found) as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece

    mode = found.external_attr >> 16
    return Member(
        name=found.filename,
        is_directory=found.is_dir(),
        mode=mode or 0o644,
        modified=_zip_time(found),
        refusal=_zip_refusal(found, mode),
        pieces=pieces,
    )


def _zip_refusal(found: zipfile.ZipInfo, mode: int) -> str:
    if found.flag_bits & 1:
        return "encrypted"
    if found.compress_type not in _ZIP_METHODS:
        return "compressed by a method that is not taken"
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        return "a link"
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a device or a pipe"


def _zip_time(found: zipfile.ZipInfo) -> float:
    try:
        return datetime(*found.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _check_zip_directory(file: BinaryIO) -> None:
    """Raises ArchiveRefused for one that would not fit into memory."""
    size = file.seek(0, os.SEEK_END)
    tail_size = min(size, _ZIP_END.size + 65_535)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _ZIP_END.size:
        raise ArchiveRefused("The zip file breaks off.")
    directory_bytes = _ZIP_END.unpack_from(tail, at)[5]
    if directory_bytes == 0xFFFFFFFF:
        # The real figure is elsewhere; the directory lies between the files and the end.
        at64 = tail.rfind(b"PK\x06\x06", 0, at)
        directory_bytes = struct.unpack_from("<Q", tail, at64 + 40)[0] if at64 >= 0 else size
    if directory_bytes > DIRECTORY_BYTES_MAX:
        raise ArchiveRefused(
            f"The directory of the zip file has {directory_bytes} bytes; "
            f"{DIRECTORY_BYTES_MAX} are allowed."
        )
    file.seek(0)
