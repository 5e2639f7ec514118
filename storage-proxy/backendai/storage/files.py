"""What is done to the files of a folder that is open at a descriptor. All of it blocks.

OSErrors carry the paths that the caller gave; the volume makes faults of them.
"""

import enum
import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backendai.common.beneath import (
    make_directories,
    make_directory,
    named,
    open_beneath,
    opened_directory,
)
from backendai.common.paths import RelPath
from backendai.common.storage_faults import PathFault

from .syscalls import rename_new

ENTRIES_MAX: Final = 200_000


class ItemType(enum.StrEnum):
    FILE = "FILE"
    DIRECTORY = "DIRECTORY"
    SYMLINK = "SYMLINK"


@dataclass(frozen=True, slots=True)
class Stat:
    """`mode` has the kind of the file too; times are ISO 8601."""

    mode: int
    size: int
    created: datetime
    modified: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a directory; `symlink_target` is empty for what is no link."""

    name: str
    type: ItemType
    stat: Stat
    symlink_target: str


def make_folder_directory(
    folder: int, path: RelPath, take: Callable[[int], None], *, parents: bool, exist_ok: bool
) -> None:
    """Raises OSError: EEXIST, ENOENT for a parent that is missing."""
    with named(path):
        if parents:
            make_directories(folder, path.parent, take=take)
        try:
            if path.is_top:
                raise FileExistsError(errno.EEXIST, "exists")
            with opened_directory(folder, path.parent) as parent:
                make_directory(parent, path.name, take=take)
        except FileExistsError:
            if not exist_ok:
                raise
            with opened_directory(folder, path):
                pass


def list_items(folder: int, path: RelPath) -> list[Item]:
    """The entries of a directory by name; links are shown as links."""
    with opened_directory(folder, path) as fd, os.scandir(fd) as entries:
        names = []
        for entry in entries:
            names.append(entry.name)
            if len(names) > ENTRIES_MAX:
                raise PathFault(
                    f"{path} has more than {ENTRIES_MAX} entries", {"paths": [str(path)]}
                )
        found = (_look(fd, name) for name in sorted(names))
        return [item for item in found if item is not None]


def rename_item(folder: int, path: RelPath, new_name: str) -> None:
    """Within its directory. Raises OSError: EEXIST."""
    _refuse_top(path, "renamed")
    beside = path.parent / new_name
    with named(path, beside), opened_directory(folder, path.parent) as parent:
        rename_new(parent, path.name, parent, new_name)


def move_item(folder: int, source: RelPath, target: RelPath) -> None:
    """To the name `target`; into it where it is a directory. Raises OSError: EEXIST."""
    _refuse_top(source, "moved")
    place = find_place(folder, source, target)
    with (
        named(source, place),
        opened_directory(folder, source.parent) as old,
        opened_directory(folder, place.parent) as new,
    ):
        rename_new(old, source.name, new, place.name)


def find_place(folder: int, source: RelPath, target: RelPath) -> RelPath:
    """Where `source` lands when somebody names `target`: as with mv(1) and cp(1)."""
    place = target
    with suppress(FileNotFoundError, NotADirectoryError), opened_directory(folder, target):
        place = RelPath((*target.names, source.name))
    if place.names[: len(source.names)] == source.names:
        raise PathFault(
            f"{source} cannot go into itself, to {place}", {"paths": [str(source), str(place)]}
        )
    return place


def delete_items(
    folder: int,
    paths: list[RelPath],
    throw_away: Callable[[int, str], None],
    *,
    recursive: bool,
) -> dict[str, OSError]:
    """Every one that can be deleted, links themselves. Returns what could not, and why.

    `throw_away` takes a directory of this name, with all that is in it, away from an open one.
    """
    failed: dict[str, OSError] = {}
    for path in paths:
        try:
            with named(path):
                _delete(folder, path, throw_away, recursive=recursive)
        except OSError as error:
            failed[str(path)] = error
    return failed


def check_item(folder: int, path: RelPath) -> None:
    """Raises OSError when there is nothing, or when it leads out."""
    os.close(open_beneath(folder, path, os.O_RDONLY | os.O_NONBLOCK))


def open_file(folder: int, path: RelPath) -> tuple[int, os.stat_result]:
    """A regular file to read, for the caller to close. Raises OSError."""
    fd = open_beneath(folder, path, os.O_RDONLY | os.O_NONBLOCK)
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode):
        return fd, found
    os.close(fd)
    code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
    raise OSError(code, os.strerror(code), str(path))


def _delete(
    folder: int, path: RelPath, throw_away: Callable[[int, str], None], *, recursive: bool
) -> None:
    if path.is_top:
        raise OSError(errno.EBUSY, "the folder itself", str(path))
    with opened_directory(folder, path.parent) as parent:
        found = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(path.name, dir_fd=parent)
        elif recursive:
            throw_away(parent, path.name)
        else:
            raise OSError(errno.EISDIR, "a directory", str(path))


def _look(directory: int, name: str) -> Item | None:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(found.st_mode) else ""
    except OSError:
        # It went away, or became something else, since the directory was read.
        return None
    return Item(printable(name), _type_of(found.st_mode), _stat_of(found), printable(target))


def _type_of(mode: int) -> ItemType:
    if stat.S_ISDIR(mode):
        return ItemType.DIRECTORY
    return ItemType.SYMLINK if stat.S_ISLNK(mode) else ItemType.FILE


def _stat_of(found: os.stat_result) -> Stat:
    created = datetime.fromtimestamp(found.st_ctime, UTC)
    return Stat(found.st_mode, found.st_size, created, datetime.fromtimestamp(found.st_mtime, UTC))


def printable(name: str) -> str:
    """Names are bytes to Linux; what is no UTF-8 is shown with replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")


def _refuse_top(path: RelPath, what: str) -> None:
    if path.is_top:
        raise PathFault(f"the folder itself cannot be {what} by its files", {"paths": ["."]})
