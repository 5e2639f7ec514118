"""What is deleted goes to the volume's trash by one rename, and from there bit by bit.

The name is free at once, and a daemon that is killed goes on with the rest when it starts again.
All of it blocks.
"""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from backendai.common.beneath import opened_directory
from backendai.common.logs import get_logger
from backendai.common.storage_faults import StorageInvalidParams, VolumeFailed

from .layout import CLONING, TRASH, ScopeId, parse_scope_id
from .syscalls import rename_new
from .volumes.volume import Volume
from .volumes.walk import DEPTH_MAX, Found, walk

log = get_logger(__name__)

# What a daemon of this life is in the middle of.
_LIFE: Final = uuid.uuid4().hex
# Directories that somebody fills while they are emptied are tried again later.
_PASSES_MAX: Final = 8


def throw_away(volume: Volume, directory: int, name: str) -> None:
    """Take `name` out of the open `directory`, with all that is in it. Raises OSError."""
    with opened_trash(volume) as trash:
        try:
            rename_new(directory, name, trash, uuid.uuid4().hex)
        except PermissionError:
            # A directory that its owner made read-only is still the owner's to delete.
            with _opened(directory, name):
                rename_new(directory, name, trash, uuid.uuid4().hex)


@contextmanager
def opened_trash(volume: Volume) -> Iterator[int]:
    with volume.opened_top() as top:
        with suppress(FileExistsError):
            os.mkdir(TRASH.name, 0o700, dir_fd=top)
        with opened_directory(top, TRASH) as fd:
            yield fd


def name_unfinished() -> str:
    """Of a copy that begins."""
    return f"{_LIFE}.{uuid.uuid4().hex}"


def throw_unfinished(volume: Volume) -> None:
    """Copies that a daemon was in the middle of when it died. Those of this one stay: the volume
    may have been away when it started, and be in use since."""
    with volume.opened_top() as top:
        for scope in _scopes(top):
            with (
                suppress(FileNotFoundError),
                opened_directory(top, scope.path / CLONING.name) as fd,
            ):
                for name in os.listdir(fd):
                    if not name.startswith(f"{_LIFE}."):
                        throw_away(volume, fd, name)


def empty_trash(volume: Volume) -> int:
    """Remove what is in it. Returns how many things went.

    Raises VolumeFailed when something cannot be removed, after all the rest is gone.
    """
    removed = 0
    kept: set[str] = set()
    with opened_trash(volume) as trash:
        # A directory that is too deep puts its depths beside it, for the next turn.
        while names := set(os.listdir(trash)) - kept:
            for name in sorted(names):
                try:
                    remove_tree(trash, name, trash)
                    removed += 1
                except OSError as error:
                    log.warning("trash.kept", volume=volume.name, name=name, cause=repr(error))
                    kept.add(name)
    if kept:
        raise VolumeFailed(f"{len(kept)} things in the trash of {volume.name} cannot be removed")
    return removed


def _scopes(top: int) -> Iterator[ScopeId]:
    for name in os.listdir(top):
        with suppress(StorageInvalidParams):
            yield parse_scope_id(name)


def remove_tree(directory: int, name: str, depths: int) -> None:
    """Remove `name` from the open `directory`; what lies too deep is moved to `depths`.

    Raises OSError. Links are removed, never followed.
    """
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    for _ in range(_PASSES_MAX):
        with _opened(directory, name) as top:
            _remove_inside(top, depths)
        try:
            os.rmdir(name, dir_fd=directory)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)


def _remove_inside(top: int, depths: int) -> None:
    def enters(found: Found) -> bool:
        if len(found.names) >= DEPTH_MAX - 1:
            os.rename(found.name, uuid.uuid4().hex, src_dir_fd=found.parent, dst_dir_fd=depths)
            return False
        if stat.S_IMODE(found.stat.st_mode) & 0o700 != 0o700:
            os.fchmod(found.fd, 0o700)
        return True

    for found in walk(top, enters=enters, on_error=_open_up):
        if found.is_end:
            with suppress(OSError):
                os.rmdir(found.name, dir_fd=found.parent)
        elif not found.is_directory:
            os.unlink(found.name, dir_fd=found.parent)


@contextmanager
def _opened(directory: int, name: str) -> Iterator[int]:
    """Also one that its owner may not read, as long as the owner is this daemon."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=directory)
    try:
        # By the descriptor: a name could be another file's by now.
        here = f"/proc/self/fd/{handle}"
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o700 != 0o700:
            os.chmod(here, 0o700)
        fd = os.open(here, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    try:
        yield fd
    finally:
        os.close(fd)


def _open_up(parent: int, names: tuple[str, ...], _error: OSError) -> None:
    """A directory that may not be read is made readable, for the next pass."""
    with suppress(OSError), _opened(parent, names[-1]):
        pass
