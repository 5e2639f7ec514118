"""Opening what lies below a directory, and never anything outside of it.

The kernel itself resolves (openat2(2) with RESOLVE_BENEATH, Linux 5.6): links that lead out,
`..` and magic links are refused in the same call that opens, so nobody can swap a directory for
a link in between. Everything is done to descriptors from then on. All calls block.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .paths import RelPath

_SYS_OPENAT2: Final = 437
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
# The kernel answers EAGAIN when something was renamed while it resolved `..` of a link.
_TRIES: Final = 64
_ALWAYS: Final = os.O_CLOEXEC | os.O_NOCTTY
_libc: Final = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(
    top: int, path: RelPath, flags: int, mode: int = 0, *, follows_links: bool = True
) -> int:
    """A descriptor of what lies at `path` below the directory `top`.

    Links that stay inside are followed: with O_NOFOLLOW in `flags` not the last one, without
    `follows_links` none. Raises OSError: EXDEV for what leads out, ELOOP for a magic link, too many
    links, or one that is not followed.
    """
    links = 0 if follows_links else _NO_SYMLINKS
    how = _OpenHow(flags | _ALWAYS, mode, _BENEATH | _NO_MAGICLINKS | links)
    name = os.fsencode(str(path))
    code = errno.EAGAIN
    for _ in range(_TRIES):
        found = _libc.syscall(
            _SYS_OPENAT2, top, name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if found >= 0:
            return int(found)
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), str(path))


@contextmanager
def opened_path(path: str | os.PathLike[str]) -> Iterator[int]:
    """The directory at `path`, which is trusted, to open below. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened(
    top: int, path: RelPath, flags: int, mode: int = 0, *, follows_links: bool = True
) -> Iterator[int]:
    fd = open_beneath(top, path, flags, mode, follows_links=follows_links)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_directory(top: int, path: RelPath) -> Iterator[int]:
    """A directory to list and to work in by `dir_fd`. Raises OSError (ENOTDIR among others)."""
    with opened(top, path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        yield fd


@contextmanager
def opened_regular(top: int, path: RelPath) -> Iterator[int]:
    """A regular file to read. Raises OSError: EINVAL for a pipe, socket or device.

    O_NONBLOCK keeps a pipe without a writer from holding the thread.
    """
    with opened(top, path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        check_regular(fd, path)
        yield fd


def check_regular(fd: int, path: RelPath) -> os.stat_result:
    """Raises OSError: EISDIR for a directory, EINVAL for what is no regular file."""
    found = os.fstat(fd)
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return found


def make_directories(
    top: int,
    path: RelPath,
    mode: int = 0o755,
    take: Callable[[int], None] | None = None,
) -> None:
    """All of `path`; what is there already stays, and `take` gets what is made. Raises OSError."""
    for depth in range(1, len(path.names) + 1):
        part = RelPath(path.names[:depth])
        with opened_directory(top, part.parent) as parent:
            try:
                make_directory(parent, part.name, mode, take)
            except FileExistsError:
                continue


def make_directory(
    parent: int, name: str, mode: int = 0o755, take: Callable[[int], None] | None = None
) -> None:
    """One directory in the one that is open at `parent`. Raises OSError."""
    os.mkdir(name, mode, dir_fd=parent)
    if take is None:
        return
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _ALWAYS, dir_fd=parent)
    try:
        take(fd)
    finally:
        os.close(fd)


@contextmanager
def named(*paths: RelPath) -> Iterator[None]:
    """OSErrors inside tell of these `paths` (one, or two), and not of parts of them."""
    try:
        yield
    except OSError as error:
        error.filename = str(paths[0])
        error.filename2 = str(paths[1]) if len(paths) > 1 else None
        raise
