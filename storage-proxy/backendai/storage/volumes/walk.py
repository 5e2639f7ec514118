"""Walking a tree by descriptors: no link is followed, and no name is resolved twice.

Trees that people make may be deep, so nothing here recurses.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

# Each level costs two descriptors while something below it is looked at.
DEPTH_MAX: Final = 500
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """`names[-1]` in the directory that is open at `parent`.

    A directory comes twice, before and after (`is_end`) what is in it; before, it is open at `fd`.
    """

    names: tuple[str, ...]
    parent: int
    stat: os.stat_result
    fd: int = -1
    is_end: bool = False

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def path(self) -> str:
        return "/".join(self.names)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)


OnError = Callable[[int, tuple[str, ...], OSError], None]


def refuse(_parent: int, _names: tuple[str, ...], error: OSError) -> None:
    raise error


def skip(_parent: int, _names: tuple[str, ...], _error: OSError) -> None:
    """What cannot be looked at is left out."""


@dataclass(slots=True)
class _Level:
    fd: int
    found: Found | None
    entries: Iterator["os.DirEntry[str]"]
    close_entries: Callable[[], None]

    def close(self) -> None:
        self.close_entries()
        os.close(self.fd)

    @property
    def names(self) -> tuple[str, ...]:
        return self.found.names if self.found is not None else ()


def walk(
    top: int,
    *,
    enters: Callable[[Found], bool] | None = None,
    on_error: OnError = refuse,
) -> Iterator[Found]:
    """Everything below the open directory `top`. What disappears meanwhile is left out.

    `enters` may keep it out of a directory; `on_error` gets the directory, the names and the error
    of what cannot be looked at. Raises OSError (ENAMETOOLONG) for more than DEPTH_MAX levels.
    Blocks.
    """
    levels = [_open_level(top, None)]
    try:
        while levels:
            level = levels[-1]
            entry = next(level.entries, None)
            if entry is None:
                levels.pop().close()
                if level.found is not None:
                    yield replace(level.found, fd=-1, is_end=True)
                continue
            found = _find(level.fd, (*level.names, entry.name), on_error)
            if found is None:
                continue
            try:
                yield found
                if found.is_directory and (enters is None or enters(found)):
                    levels.append(_enter(found, len(levels)))
            finally:
                found.close()
    finally:
        for level in levels:
            level.close()


def _find(parent: int, names: tuple[str, ...], on_error: OnError) -> Found | None:
    try:
        seen = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(seen.st_mode):
            return Found(names, parent, seen)
        fd = os.open(names[-1], DIRECTORY, dir_fd=parent)
        return Found(names, parent, os.fstat(fd), fd)
    except (FileNotFoundError, NotADirectoryError):
        # Gone, or something else was put in its place between the two calls.
        return None
    except OSError as error:
        error.filename = "/".join(names)
        on_error(parent, names, error)
        return None


def _enter(found: Found, depth: int) -> _Level:
    if depth >= DEPTH_MAX:
        raise OSError(errno.ENAMETOOLONG, f"more than {DEPTH_MAX} directories deep", found.path)
    return _open_level(found.fd, found)


def _open_level(directory: int, found: Found | None) -> _Level:
    fd = os.dup(directory)
    try:
        entries = os.scandir(fd)
    except BaseException:
        os.close(fd)
        raise
    return _Level(fd, found, entries, entries.close)
