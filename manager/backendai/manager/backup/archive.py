"""The archive as a file: tar in gzip, written and read as a stream, one member in memory at a time.

Nothing is unpacked to the disk by names that an archive gives. A reader sees each member with its
own sum checked against the manifest, which is last; gzip's sum covers all of them.
"""

import errno
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from .model import (
    KEYS,
    MANIFEST,
    PAIRS,
    TABLES,
    BackupRefused,
    Manifest,
    decode_manifest,
    find_damage,
)

MEMBER_BYTES_MAX: Final = 256 << 20
_LEVEL: Final = 6
_DRAIN_BYTES: Final = 1 << 20
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that has been read whole and found sound; rows are read from it again."""

    path: Path
    manifest: Manifest
    pairs: dict[str, str]
    keys: dict[str, bytes]


class ArchiveWriter:
    """Adds members to a draft; `sums` are those of what was added."""

    def __init__(self, tar: tarfile.TarFile, taken_at: datetime) -> None:
        self.sums: dict[str, str] = {}
        self._tar = tar
        self._seconds = int(taken_at.timestamp())

    def add(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(data), 0o600, self._seconds
        self._tar.addfile(info, io.BytesIO(data))
        self.sums[name] = _sum_of(data)

    def add_manifest(self, manifest: Manifest) -> None:
        self.add(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


@contextmanager
def write_archive(path: Path, taken_at: datetime) -> Iterator[ArchiveWriter]:
    """A new file, mode 0600, that appears whole when the context ends well, and else not at all.

    Raises BackupRefused for a file that is there, and when the disk does not take it.
    """
    if path.exists():
        raise BackupRefused(f"{path} is there already: name another file.")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise _unwritable(path, error) from error
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with (
                gzip.GzipFile("", "wb", _LEVEL, file, taken_at.timestamp()) as packed,
                tarfile.open(fileobj=packed, mode="w|") as tar,
            ):
                yield ArchiveWriter(tar, taken_at)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        # Others may come from where the members come from.
        if error.errno in _DISK_ERRORS:
            raise _unwritable(path, error) from error
        raise
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify_archive(path: Path) -> Archive:
    """Read all of it. Raises BackupRefused when anything is not as it was written."""
    manifest: Manifest | None = None
    sums: dict[str, str] = {}
    small: dict[str, bytes] = {}
    for name, data in _read_members(path):
        if manifest is not None or name in sums:
            raise _damaged(path, f"{name} does not belong there")
        if name == MANIFEST:
            manifest = decode_manifest(data)
            continue
        sums[name] = _sum_of(data)
        if not name.startswith(TABLES):
            small[name] = data
    if manifest is None:
        raise _damaged(path, "its end is missing")
    if damage := find_damage(manifest.sums, sums):
        raise _damaged(path, damage)
    try:
        pairs = msgspec.json.decode(small[PAIRS], type=dict[str, str])
    except msgspec.DecodeError as error:
        raise _damaged(path, f"{PAIRS}: {error}") from error
    keys = {name: small[KEYS + name] for name in manifest.keys}
    return Archive(path, manifest, pairs, keys)


def read_chunks(archive: Archive) -> Generator[tuple[str, bytes], None, None]:
    """The members with rows, in order, checked again: the file may not be what it was."""
    for name, data in _read_members(archive.path):
        if name.startswith(TABLES):
            if archive.manifest.sums.get(name) != _sum_of(data):
                raise _damaged(archive.path, f"{name} has changed")
            yield name, data


def _read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(path) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for info in tar:
                yield info.name, _read(tar, info)
            # The sum of gzip is behind the end of tar.
            while packed.read(_DRAIN_BYTES):
                pass
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error)) from error


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    if not info.isreg() or info.size > MEMBER_BYTES_MAX:
        raise tarfile.ReadError(f"{info.name} is no member of ours")
    file = tar.extractfile(info)
    return b"" if file is None else file.read()


def _sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _damaged(path: Path, why: str) -> BackupRefused:
    return BackupRefused(f"{path} is damaged, or no archive of a control plane: {why}.")


def _unwritable(path: Path, error: OSError) -> BackupRefused:
    return BackupRefused(f"{path} cannot be written: {error.strerror}.")
