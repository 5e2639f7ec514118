"""Putting a whole part to where it belongs in its folder. Blocks."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from backendai.common.beneath import make_directories, open_beneath, opened_directory
from backendai.common.paths import RelPath, parse_relpath

from ..layout import parse_folder_id
from ..owner import Owner
from ..volumes.volume import Volume
from . import files
from .part import Part
from .record import UploadRecord

_COPY_BYTES: Final = 8 << 20


def target_of(record: UploadRecord) -> RelPath:
    """Below the folder. Raises BadRequest."""
    return RelPath((*parse_relpath(record.dst_dir).names, *parse_relpath(record.relpath).names))


def check_target(volume: Volume, record: UploadRecord) -> None:
    """Refuse early what could not be put into its place. Raises OSError, FolderNotFound."""
    path = target_of(record)
    if path.is_top:
        raise _refusal(errno.EISDIR, path)
    with volume.opened_folder(parse_folder_id(record.folder)) as top:
        try:
            with opened_directory(top, path.parent) as parent:
                found = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
    if stat.S_ISDIR(found.st_mode):
        raise _refusal(errno.EISDIR, path)


def place(volume: Volume, part: Part) -> bool:
    """Rename, making the directories above. What was there as a file is replaced.

    False where a rename does not reach, see `place_copy`. Raises OSError (EISDIR for a directory in
    its place), FolderNotFound, NotCounted, StorageFull.
    """
    scope = parse_folder_id(part.record.folder).scope
    if not volume.quotas.counts_parts:
        volume.room.check_placing(scope, part.record.size)
    part.set_time()
    return _place(volume, part, rename_in)


def place_copy(volume: Volume, part: Part) -> None:
    """As `place`, by copying. Blocks long."""
    _place(volume, part, move_in)


def _place(volume: Volume, part: Part, move: Callable[[int, str, int, str], bool]) -> bool:
    record, path = part.record, target_of(part.record)
    folder = parse_folder_id(record.folder)
    with volume.opened_folder(folder) as top:
        make_parents(top, path.parent, volume.owner)
        with opened_directory(top, path.parent) as parent, part.used_directory() as aside:
            try:
                is_there = move(aside, record.id + files.PART, parent, path.name)
            except OSError as error:
                raise _refusal(error.errno or errno.EIO, path) from error
    if is_there:
        volume.quotas.note(folder.scope, record.size)
        part.is_placed = True
    return is_there


def settle(volume: Volume, record: UploadRecord) -> None:
    """Make the name in its directory durable, and those of the directories above.

    What was removed again since then needs no name. Raises OSError, FolderNotFound.
    """
    above = target_of(record).parent
    with volume.opened_folder(parse_folder_id(record.folder)) as top:
        for depth in range(len(above.names), -1, -1):
            try:
                with opened_directory(top, RelPath(above.names[:depth])) as directory:
                    os.fsync(directory)
            except (FileNotFoundError, NotADirectoryError):
                continue


def make_parents(top: int, path: RelPath, owner: Owner) -> None:
    """All of `path`; what is there already stays. Raises OSError."""
    try:
        os.close(open_beneath(top, path, os.O_RDONLY | os.O_DIRECTORY))
    except FileNotFoundError:
        make_directories(top, path, take=owner.take)


def rename_in(aside: int, name: str, parent: int, new_name: str) -> bool:
    """From where it was written into the directory `parent`, replacing a file. Raises OSError.

    False where that is another file system, or a tree with a quota of its own.
    """
    try:
        os.rename(name, new_name, src_dir_fd=aside, dst_dir_fd=parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def move_in(aside: int, name: str, parent: int, new_name: str) -> bool:
    """As `rename_in`; where that does not reach it is copied, and durable. Blocks long."""
    if rename_in(aside, name, parent, new_name):
        return True
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=aside)
    try:
        _copy(source, parent, f".{name}", new_name)
    finally:
        os.close(source)
    os.unlink(name, dir_fd=aside)
    return True


def _copy(source: int, parent: int, fresh: str, new_name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    out = os.open(fresh, flags, 0o600, dir_fd=parent)
    try:
        found = os.fstat(source)
        _copy_bytes(source, out, found.st_size)
        os.fchown(out, found.st_uid, found.st_gid)
        os.fchmod(out, stat.S_IMODE(found.st_mode))
        os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(out)
        os.rename(fresh, new_name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        os.unlink(fresh, dir_fd=parent)
        raise
    finally:
        os.close(out)


def _copy_bytes(source: int, out: int, size: int) -> None:
    position = 0
    while position < size:
        copied = os.sendfile(out, source, position, min(_COPY_BYTES, size - position))
        if not copied:
            raise OSError(errno.EIO, "the part became shorter")
        position += copied


def _refusal(code: int, path: RelPath) -> OSError:
    return OSError(code, os.strerror(code), str(path))
