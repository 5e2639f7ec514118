"""What of a folder goes into an archive: directories and regular files. Blocks.

Links are neither followed nor kept, and pipes, sockets and devices are left out; so is what
disappears or cannot be read while the archive is made.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from backendai.common.beneath import opened
from backendai.common.paths import RelPath, parse_relpath

from ..volumes.walk import DEPTH_MAX, Found, walk

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Entry:
    """`fd` is open for reading until the next entry is taken; None is a directory."""

    name: str
    stat: os.stat_result
    fd: int | None


def list_entries(top: int, selection: tuple[str, ...] = ()) -> Iterator[Entry]:
    """All below the directory `top`, or those paths below it and what is in them."""
    if not selection:
        yield from _tree(top, ())
    for text in selection:
        with suppress(OSError):
            yield from _chosen(top, parse_relpath(text))


def _chosen(top: int, path: RelPath) -> Iterator[Entry]:
    with opened(top, path, _FILE) as fd:
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode):
            yield Entry(str(path), found, fd)
        elif stat.S_ISDIR(found.st_mode):
            if not path.is_top:
                yield Entry(str(path), found, None)
            yield from _tree(fd, path.names)


def _tree(top: int, above: tuple[str, ...]) -> Iterator[Entry]:
    for found in walk(top, enters=_is_shallow, on_error=_leave_out):
        name = "/".join((*above, *found.names))
        if found.is_directory:
            if not found.is_end:
                yield Entry(name, found.stat, None)
        elif found.is_file:
            yield from _file(found, name)


def _file(found: Found, name: str) -> Iterator[Entry]:
    try:
        fd = os.open(found.name, _FILE, dir_fd=found.parent)
    except OSError:
        return
    try:
        now = os.fstat(fd)
        if stat.S_ISREG(now.st_mode):
            yield Entry(name, now, fd)
    finally:
        os.close(fd)


def _is_shallow(found: Found) -> bool:
    return len(found.names) < DEPTH_MAX


def _leave_out(_parent: int, _names: tuple[str, ...], _error: OSError) -> None:
    """Somebody else's directory in a shared folder must not keep the rest from its owner."""
