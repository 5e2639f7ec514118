"""Copying trees by descriptors: files with their modes and times, links as links, nothing else.

Pipes, sockets and devices are left out. All of it blocks; errors are OSErrors.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from .owner import Owner
from .volumes.walk import Found, walk

_FICLONE: Final = 0x40049409
_CHUNK_BYTES: Final = 16 << 20
_NO_KERNEL_COPY: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}
)
_SET_IDS: Final = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class CopyRules:
    """`check_room` gets the bytes of each file before it is made, `check_space` those of them that
    are about to take space on the disk; both may refuse them."""

    owner: Owner
    check_room: Callable[[int], None]
    check_space: Callable[[int], None]


def copy_tree(source: int, target: int, rules: CopyRules) -> None:
    """What is in the open directory `source` into the open, empty directory `target`."""
    with _Copy(target, rules).running() as copy:
        for found in walk(source):
            copy.add(found)


def copy_item(source: int, name: str, target: int, new_name: str, rules: CopyRules) -> None:
    """A file, a link or a directory with all that is in it, as `new_name`. Raises OSError."""
    seen = os.stat(name, dir_fd=source, follow_symlinks=False)
    found = Found((name,), source, seen)
    if not found.is_directory:
        if not (found.is_file or found.is_link):
            raise OSError(errno.EINVAL, "neither a file nor a directory", name)
        with _Copy(target, rules).running() as copy:
            copy.add(found, new_name)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    os.mkdir(new_name, 0o700, dir_fd=target)
    old, new = os.open(name, flags, dir_fd=source), -1
    try:
        new = os.open(new_name, flags, dir_fd=target)
        copy_tree(old, new, rules)
        _finish(new, seen, rules.owner)
    finally:
        for fd in (old, new):
            if fd >= 0:
                os.close(fd)


@dataclass(slots=True)
class _Copy:
    """The directories of the target that are open: the last one gets what comes next."""

    target: int
    rules: CopyRules
    opened: list[int] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator["_Copy"]:
        try:
            yield self
        finally:
            for fd in self.opened:
                os.close(fd)

    def add(self, found: Found, new_name: str = "") -> None:
        name = new_name or found.name
        here = self.opened[-1] if self.opened else self.target
        if found.is_end:
            fd = self.opened.pop()
            try:
                _finish(fd, found.stat, self.rules.owner)
            finally:
                os.close(fd)
        elif found.is_directory:
            os.mkdir(name, 0o700, dir_fd=here)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self.opened.append(os.open(name, flags, dir_fd=here))
        elif found.is_link:
            self._copy_link(found, here, name)
        elif found.is_file:
            self._copy_file(found, here, name)

    def _copy_link(self, found: Found, here: int, name: str) -> None:
        os.symlink(os.readlink(found.name, dir_fd=found.parent), name, dir_fd=here)
        owner = self.rules.owner
        os.chown(name, owner.uid, owner.gid, dir_fd=here, follow_symlinks=False)

    def _copy_file(self, found: Found, here: int, name: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            source = os.open(found.name, flags, dir_fd=found.parent)
        except FileNotFoundError:
            return
        try:
            seen = os.fstat(source)
            if not stat.S_ISREG(seen.st_mode):
                return
            making = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, making, 0o600, dir_fd=here)
            try:
                copy_content(source, target, seen.st_size, self.rules)
                _finish(target, seen, self.rules.owner)
            finally:
                os.close(target)
        finally:
            os.close(source)


def copy_content(source: int, target: int, size: int, rules: CopyRules) -> None:
    """Shares the blocks where the file system can; holes stay holes."""
    rules.check_room(size)
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        # Few file systems share blocks; all the others copy them.
        pass
    for start, end in _data_ranges(source, size):
        rules.check_space(end - start)
        _copy_range(source, target, start, end)
    os.ftruncate(target, size)


def _data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Parts of the file that are no holes."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            if error.errno != errno.EINVAL:
                raise
            yield at, size
            return
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, at


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        count = _copy_piece(source, target, start, min(end - start, _CHUNK_BYTES))
        if count == 0:
            # It became shorter while it was copied.
            return
        start += count


def _copy_piece(source: int, target: int, at: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count, at, at)
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
    piece = os.pread(source, min(count, 1 << 20), at)
    written = 0
    while written < len(piece):
        written += os.pwrite(target, piece[written:], at + written)
    return written


def _finish(fd: int, like: os.stat_result, owner: Owner) -> None:
    owner.take(fd)
    os.fchmod(fd, stat.S_IMODE(like.st_mode) & ~_SET_IDS)
    os.utime(fd, ns=(like.st_atime_ns, like.st_mtime_ns))
