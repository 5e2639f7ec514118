"""Folders as a whole: made, cloned, found on the host, and thrown away. All of it blocks.

A folder is there whole or not at all: what takes long happens beside it, and ends in one rename.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from backendai.common.beneath import make_directory, named, opened_directory
from backendai.common.paths import RelPath
from backendai.common.storage_faults import FolderExists, FolderNotFound, PathFault

from .copying import CopyRules, copy_item, copy_tree
from .files import find_place
from .layout import CLONING, FolderId, ScopeId
from .syscalls import rename_new, sync_filesystem
from .trash import name_unfinished, throw_away
from .volumes.count import count_item, count_tree
from .volumes.limits import SCOPE_MODE
from .volumes.room import Reservation
from .volumes.volume import Volume

FOLDER_MODE: Final = 0o755


def create_folder(volume: Volume, folder: FolderId, mode: int = FOLDER_MODE) -> None:
    """One that is there already stays as it is. Raises OSError."""
    with opened_prefix(volume, folder) as prefix:
        with suppress(FileExistsError):
            os.mkdir(folder.hex, mode, dir_fd=prefix)
        with opened_directory(prefix, RelPath((folder.hex,))) as fd:
            # Also where a daemon died before it had done so.
            volume.owner.take(fd)
            os.fsync(fd)
        os.fsync(prefix)


def delete_folder(volume: Volume, folder: FolderId) -> None:
    """Into the trash; one that is not there is gone already. Raises OSError."""
    with (
        volume.opened_top() as top,
        suppress(FileNotFoundError),
        opened_directory(top, folder.path.parent) as prefix,
    ):
        throw_away(volume, prefix, folder.hex)
        os.fsync(prefix)


def clone_folder(source: Volume, folder: FolderId, target: Volume, clone: FolderId) -> None:
    """Raises FolderNotFound, FolderExists, StorageFull, OSError."""
    with source.opened_folder(folder) as original, opened_prefix(target, clone) as prefix:
        if has_folder(target, clone):
            raise FolderExists(f"there is {clone} on volume {target.name} already")
        name, size = name_unfinished(), count_tree(original).size_bytes
        with (
            reserved(target, clone.scope, name, size) as rules,
            opened_staging(target, clone.scope) as staging,
        ):
            _copy_to_stage(original, staging, name, target, rules)
            try:
                rename_new(staging, name, prefix, clone.hex)
            except FileExistsError:
                throw_away(target, staging, name)
                raise FolderExists(f"there is {clone} on volume {target.name} already") from None
        os.fsync(prefix)


def _copy_to_stage(
    original: int, staging: int, name: str, volume: Volume, rules: CopyRules
) -> None:
    """All of the folder `original` as `name` in `staging`, durable; or nothing of it."""
    make_directory(staging, name, FOLDER_MODE, volume.owner.take)
    try:
        with opened_directory(staging, RelPath((name,))) as fd:
            copy_tree(original, fd, rules)
            sync_filesystem(fd)
    except BaseException:
        with suppress(OSError):
            throw_away(volume, staging, name)
        raise


def copy_within(volume: Volume, folder: FolderId, source: RelPath, target: RelPath) -> None:
    """A file or a tree to the name `target`, or into it where it is a directory.

    Raises OSError: EEXIST; StorageFull.
    """
    if source.is_top:
        raise PathFault("the folder itself cannot be copied into itself", {"paths": ["."]})
    with volume.opened_folder(folder) as fd:
        place, name = find_place(fd, source, target), name_unfinished()
        with (
            named(source, place),
            opened_directory(fd, source.parent) as old,
            opened_directory(fd, place.parent) as new,
            reserved(volume, folder.scope, name, count_item(old, source.name)) as rules,
            opened_staging(volume, folder.scope) as staging,
        ):
            try:
                copy_item(old, source.name, staging, name, rules)
                sync_filesystem(staging)
                rename_new(staging, name, new, place.name)
            except BaseException:
                with suppress(OSError):
                    throw_away(volume, staging, name)
                raise
            os.fsync(new)


def find_mount_path(volume: Volume, folder: FolderId, subpath: RelPath) -> Path:
    """Where the host has it. Raises PathFault when a link is on the way: it could change."""
    with volume.opened_folder(folder) as top, opened_directory(top, subpath) as fd:
        inside = [os.readlink(f"/proc/self/fd/{one}") for one in (top, fd)]
    if os.path.relpath(inside[1], inside[0]) != str(subpath):
        raise PathFault(
            f"{subpath} is or passes a link, and links are not mounted", {"paths": [str(subpath)]}
        )
    return volume.path.joinpath(*folder.path.names, *subpath.names)


def check_folder(volume: Volume, folder: FolderId) -> None:
    """Raises FolderNotFound."""
    with volume.opened_folder(folder):
        pass


def has_folder(volume: Volume, folder: FolderId) -> bool:
    try:
        check_folder(volume, folder)
    except FolderNotFound:
        return False
    return True


@contextmanager
def reserved(volume: Volume, scope: ScopeId, name: str, size_bytes: int) -> Iterator[CopyRules]:
    """Room in the scope for all of a copy, before its first byte. Raises StorageFull."""
    own = Reservation(name, scope, size_bytes, is_inside=True, is_copy=True)
    volume.room.reserve_counting(own)
    try:
        spend = partial(volume.room.spend, own)
        yield CopyRules(volume.owner, spend, volume.room.check_space)
    finally:
        volume.room.release(name)


@contextmanager
def opened_prefix(volume: Volume, folder: FolderId) -> Iterator[int]:
    """The directory that the folder is in, made when it is missing."""
    volume.quotas.ensure(folder.scope)
    with (
        volume.opened_top() as top,
        opened_directory(top, folder.scope.path) as scope,
        _made_directory(scope, folder.hex[:2]) as prefix,
    ):
        yield prefix


@contextmanager
def opened_staging(volume: Volume, scope: ScopeId) -> Iterator[int]:
    """Where copies are until they are whole: in the scope, so that they count for its quota."""
    with (
        volume.opened_top() as top,
        opened_directory(top, scope.path) as scope_fd,
        _made_directory(scope_fd, CLONING.name) as staging,
    ):
        yield staging


@contextmanager
def _made_directory(parent: int, name: str) -> Iterator[int]:
    with suppress(FileExistsError):
        os.mkdir(name, SCOPE_MODE, dir_fd=parent)
        os.fsync(parent)
    with opened_directory(parent, RelPath((name,))) as fd:
        yield fd
