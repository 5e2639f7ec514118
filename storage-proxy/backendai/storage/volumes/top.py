"""The directory of a volume itself: opened anew for each piece of work, and known by its id.

A file system may be unmounted and mounted again while the daemon runs. Below the mount point lies
an empty directory that must not be taken for the volume, so its id is compared whenever the
directory is another one than before. All of it blocks.
"""

import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from backendai.common.mounts import VOLUME_FILE, VolumeProof
from backendai.common.storage_faults import VolumeUnavailable

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class VolumeTop:
    """`is_mount` says that the path has to be a mount point."""

    def __init__(self, volume: str, path: Path, *, is_mount: bool) -> None:
        self._volume = volume
        self._path = path
        self._is_mount = is_mount
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._id = ""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Raises VolumeUnavailable when it is not there, or is another volume than before."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unavailable(f"cannot be opened: {error.strerror}") from error
        try:
            self._recognise(fd)
            yield fd
        finally:
            os.close(fd)

    def id(self) -> str:
        """Made once, and the same on every machine that has this volume mounted."""
        with self.opened():
            return self._id

    def _recognise(self, fd: int) -> None:
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) == self._seen:
            return
        with self._lock:
            if self._is_mount and os.path.realpath(self._path) not in mount_points():
                raise self._unavailable("is not mounted")
            known = self._read_or_make_id(fd)
            if self._id not in ("", known):
                raise self._unavailable("is another volume than when this daemon started")
            self._id, self._seen = known, (found.st_dev, found.st_ino)

    def _read_or_make_id(self, fd: int) -> str:
        try:
            return read_volume_id(fd) or self._make_id(fd)
        except OSError as error:
            raise self._unavailable(f"cannot be read: {error.strerror}") from error

    def _make_id(self, fd: int) -> str:
        if self._id:
            raise self._unavailable("is not the one that was there when this daemon started")
        content = msgspec.json.encode(VolumeProof(str(uuid.uuid4())))
        with suppress(FileExistsError):
            write_once(fd, VOLUME_FILE, content)
        return read_volume_id(fd)

    def _unavailable(self, why: str) -> VolumeUnavailable:
        return VolumeUnavailable(f"volume {self._volume} {why}", {"volume": self._volume})


def read_volume_id(top: int) -> str:
    """Empty when there is none. Raises OSError."""
    try:
        fd = os.open(VOLUME_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=top)
    except FileNotFoundError:
        return ""
    with os.fdopen(fd, "rb") as file, suppress(msgspec.DecodeError):
        return msgspec.json.decode(file.read(4096), type=VolumeProof).id
    return ""


def write_once(directory: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """A file that is there whole and durable, or not at all. Raises FileExistsError, OSError."""
    temporary = _write_beside(directory, _name_beside(name), content, mode)
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        os.unlink(temporary, dir_fd=directory)
    os.fsync(directory)


def replace_file(
    directory: int, name: str, content: bytes, mode: int = 0o644, fresh: str = ""
) -> None:
    """As `write_once`, in place of what was there. `fresh` is its name until it is whole, where one
    writer at a time sees to it that what a crash leaves is found. Raises OSError."""
    temporary = _write_beside(directory, fresh or _name_beside(name), content, mode)
    try:
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def _name_beside(name: str) -> str:
    return f"{name}.{uuid.uuid4().hex}"


def _write_beside(directory: int, temporary: str, content: bytes, mode: int) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode, dir_fd=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise
    return temporary


def mount_points() -> frozenset[str]:
    """Paths at which something is mounted in this process's view."""
    lines = _MOUNTINFO.read_text("utf-8", "surrogateescape").splitlines()
    return frozenset(_unescaped(line.split(" ")[4]) for line in lines)


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
