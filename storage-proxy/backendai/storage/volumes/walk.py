"""Walking a tree by descriptors: no link is followed, and no name is resolved twice.

Trees that people make may be deep, so nothing here recurses.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

# Each level costs two descriptors while something below it is looked at.
DEPTH_MAX: Final = 500
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)


def refuse(_names: tuple[str, ...], error: OSError) -> None:
    raise error


@dataclass(slots=True)
class _Level:
    fd: int
    found: Found | None
    entries: Iterator["os.DirEntry[str]"]


def walk(
    top: int,
    *,
    enters: Callable[[Found], bool] | None = None,
    on_error: Callable[[tuple[str, ...], OSError], None] = refuse,
) -> Iterator[Found]:
    """Everything below the open directory `top`. What disappears meanwhile is left out.

    `enters` may keep it out of a directory; `on_error` hears of those that cannot be read. Raises
    OSError (ENAMETOOLONG) for more than DEPTH_MAX levels. Blocks.
    """
    levels = [_Level(os.dup(top), None, os.scandir(top))]
    try:
        while levels:
            level = levels[-1]
            entry = next(level.entries, None)
            if entry is None:
                levels.pop()
                os.close(level.fd)
                if level.found is not None:
                    yield _end_of(level.found)
                continue
            names = (*(level.found.names if level.found else ()), entry.name)
            try:
                found = _look(level.fd, names)
            except FileNotFoundError:
                continue
            except OSError as error:
                on_error(names, error)
                continue
            if not found.is_directory:
                yield found
                continue
            try:
                yield found
                if enters is None or enters(found):
                    levels.append(_enter(found, len(levels)))
            finally:
                os.close(found.fd)
    finally:
        for level in levels:
            os.close(level.fd)


def _look(parent: int, names: tuple[str, ...]) -> Found:
    seen = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(seen.st_mode):
        return Found(names, parent, seen)
    try:
        fd = os.open(names[-1], _DIRECTORY, dir_fd=parent)
    except NotADirectoryError as error:
        # Somebody put something else in its place between the two calls.
        raise FileNotFoundError(errno.ENOENT, "changed", names[-1]) from error
    return Found(names, parent, os.fstat(fd), fd)


def _enter(found: Found, depth: int) -> _Level:
    if depth >= DEPTH_MAX:
        raise OSError(errno.ENAMETOOLONG, f"more than {DEPTH_MAX} directories deep", found.path)
    fd = os.dup(found.fd)
    try:
        return _Level(fd, found, os.scandir(fd))
    except BaseException:
        os.close(fd)
        raise


def _end_of(found: Found) -> Found:
    return Found(found.names, found.parent, found.stat, -1, True)
