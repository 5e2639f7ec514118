"""Reads files that a kernel's user can write, replace and lay traps for."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_COMMON_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_head(folder: Path, name: str, bytes_max: int) -> bytes | None:
    """The first `bytes_max` bytes of the regular file `name` below `folder`; None without one."""
    with _open_beneath(folder, name) as descriptor:
        return None if descriptor is None else os.pread(descriptor, bytes_max, 0)


def read_tail(folder: Path, name: str, bytes_max: int) -> tuple[bytes, bool] | None:
    """The last `bytes_max` bytes, and whether something stands before them."""
    with _open_beneath(folder, name) as descriptor:
        if descriptor is None:
            return None
        begin = max(0, os.fstat(descriptor).st_size - bytes_max)
        return os.pread(descriptor, bytes_max, begin), begin > 0


@contextlib.contextmanager
def _open_beneath(folder: Path, name: str) -> Iterator[int | None]:
    """A descriptor of the regular file, or None when something else is there."""
    opened: list[int] = []
    try:
        with contextlib.suppress(OSError):
            _open_each(folder, name, opened)
        is_whole = len(opened) == name.count("/") + 2
        is_file = is_whole and stat.S_ISREG(os.fstat(opened[-1]).st_mode)
        yield opened[-1] if is_file else None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open_each(folder: Path, name: str, opened: list[int]) -> None:
    """Step by step, following no link, waiting for no pipe: both would be the kernel's choice."""
    *folders, last = name.split("/")
    opened.append(os.open(folder, _COMMON_FLAGS | os.O_DIRECTORY))
    for part in folders:
        opened.append(os.open(part, _COMMON_FLAGS | os.O_DIRECTORY, dir_fd=opened[-1]))
    opened.append(os.open(last, _COMMON_FLAGS | os.O_NONBLOCK, dir_fd=opened[-1]))
