"""Unpacking an archive of a folder into that folder. Blocks.

Nothing leaves the folder, links and devices are not made, and what is unpacked is bounded in
number, in bytes, by the archive's own size and by the quota. Each file appears whole and durable,
or not at all: many are written aside, made durable together, and then renamed.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Final

from backendai.common.beneath import make_directories, opened_directory, opened_regular
from backendai.common.faults import BadRequest
from backendai.common.paths import RelPath, parse_relpath
from backendai.common.upload_faults import ArchiveRefused, ArchiveTooLarge

from ..layout import UPLOADS, FolderId
from ..syscalls import sync_filesystem
from ..uploads import files
from ..uploads.placing import make_parents, move_in
from ..volumes.room import Reservation
from ..volumes.volume import Volume
from .members import DAMAGE, Member, list_members

BATCH_FILES: Final = 10_000
BATCH_BYTES: Final = 64 << 20
SKIPPED_TOLD_MAX: Final = 1000
_PERMISSIONS: Final = 0o777
_OWNER_MAY: Final = 0o600


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """`ratio_max` is bytes for each byte of the archive, beyond the first `ratio_free_bytes`."""

    members_max: int = 1_000_000
    bytes_max: int = 1 << 40
    ratio_max: int = 200
    ratio_free_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Skipped:
    name: str
    why: str


@dataclass(slots=True)
class Report:
    """What came of it. `skipped` tells of the first ones, `skipped_count` of all."""

    files: int = 0
    directories: int = 0
    bytes: int = 0
    skipped_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, name: str, why: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_TOLD_MAX:
            shown = name.encode("utf-8", "replace").decode()[:200]
            self.skipped.append(Skipped(shown, why))

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def unpack(
    volume: Volume, folder: FolderId, path: RelPath, into: RelPath, limits: UnpackLimits
) -> Report:
    """Files that are there already are replaced; directories stay.

    Raises ArchiveRefused and ArchiveTooLarge (facts: the report so far), StorageFull, OSError.
    """
    with ExitStack() as stack:
        top = stack.enter_context(volume.opened_folder(folder))
        archive = stack.enter_context(opened_regular(top, path))
        aside = stack.enter_context(_opened_aside(volume))
        work = _Unpacking(volume, folder, top, aside, into, os.fstat(archive).st_size, limits)
        stack.callback(work.forget)
        try:
            for member in list_members(archive):
                work.take(member)
            work.finish()
        except ArchiveRefused as fault:
            raise ArchiveRefused(fault.detail, work.report.facts()) from fault.__cause__
    return work.report


@contextmanager
def _opened_aside(volume: Volume) -> Iterator[int]:
    """A directory that nobody sees, where a crash leaves nothing that is not swept."""
    path = UPLOADS / "00"
    with volume.opened_top() as top:
        make_directories(top, path, 0o700)
        with opened_directory(top, path) as directory:
            yield directory


@dataclass(frozen=True, slots=True)
class _Staged:
    name: str
    path: RelPath
    size: int


class _Unpacking:
    def __init__(
        self,
        volume: Volume,
        folder: FolderId,
        top: int,
        aside: int,
        into: RelPath,
        archive_bytes: int,
        limits: UnpackLimits,
    ) -> None:
        self.report = Report()
        self._volume = volume
        self._scope = folder.scope
        self._top = top
        self._aside = aside
        self._into = into
        self._limits = limits
        self._bytes_max = min(
            limits.bytes_max, limits.ratio_free_bytes + limits.ratio_max * archive_bytes
        )
        self._members = 0
        self._staged: list[_Staged] = []
        self._pending_bytes = 0
        self._room = Reservation(
            uuid.uuid4().hex, folder.scope, 0, is_inside=volume.quotas.counts_parts
        )
        volume.room.reserve_counting(self._room)
        self._made: set[RelPath] = set()

    def take(self, member: Member) -> None:
        """Raises ArchiveTooLarge, StorageFull, OSError."""
        self._members += 1
        if self._members > self._limits.members_max:
            raise self._too_large(f"It has more than {self._limits.members_max} members.")
        path = self._path_of(member)
        if path is None:
            return
        if member.is_directory:
            self._make_directory(member, path)
            return
        try:
            self._stage(member, path)
        except DAMAGE as error:
            self.report.skip(member.name, f"damaged: {type(error).__name__}")
        except (NotImplementedError, RuntimeError):
            self.report.skip(member.name, "compressed in a way that is not known")
        if len(self._staged) >= BATCH_FILES or self._pending_bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Durable first, then by their names: what they replace is lost only for what is there.

        Raises OSError, StorageFull.
        """
        self._take_room()
        sync_filesystem(self._aside)
        staged, self._staged = self._staged, []
        self._pending_bytes = 0
        for directory, some in groupby(staged, lambda one: one.path.parent):
            self._place(directory, list(some))

    def finish(self) -> None:
        """Names become durable once, before anybody is told. Raises OSError, StorageFull."""
        if self._staged:
            self.flush()
        sync_filesystem(self._top)

    def forget(self) -> None:
        for one in self._staged:
            self._unlink(one.name)
        self._volume.room.release(self._room.id)

    def _take_room(self) -> None:
        """For what has been written since the last time. Raises StorageFull."""
        if self._volume.quotas.counts_parts:
            # It was counted, and could have been refused, when it was written.
            return
        room = self._volume.room
        room.extend(self._room, self._pending_bytes - self._room.size_bytes)
        room.progress(self._room.id, self._pending_bytes)

    def _path_of(self, member: Member) -> RelPath | None:
        if member.refusal:
            self.report.skip(member.name, member.refusal)
            return None
        try:
            named = parse_relpath(member.name)
        except BadRequest as fault:
            self.report.skip(member.name, fault.detail)
            return None
        if named.is_top:
            if not member.is_directory:
                self.report.skip(member.name, "it has no name")
            return None
        return RelPath((*self._into.names, *named.names))

    def _make_directory(self, member: Member, path: RelPath) -> None:
        try:
            self._make_parents(path)
            self.report.directories += 1
        except OSError as error:
            self.report.skip(member.name, error.strerror or "cannot be made")

    def _make_parents(self, path: RelPath) -> None:
        if path not in self._made:
            make_parents(self._top, path, self._volume.owner)
            self._made.add(path)

    def _stage(self, member: Member, path: RelPath) -> None:
        name = uuid.uuid4().hex + files.PART
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(name, flags, 0o600, dir_fd=self._aside)
        try:
            self._volume.quotas.adopt(out, self._scope)
            size = self._write(member, out)
            os.fchmod(out, member.mode & _PERMISSIONS | _OWNER_MAY)
            self._volume.owner.take(out)
            with suppress(OSError, OverflowError):
                os.utime(out, (member.modified, member.modified))
        except BaseException:
            self._unlink(name)
            raise
        finally:
            os.close(out)
        self._staged.append(_Staged(name, path, size))

    def _write(self, member: Member, out: int) -> int:
        size = unchecked = 0
        for piece in member.pieces():
            self.report.bytes += len(piece)
            if self.report.bytes > self._bytes_max:
                raise self._too_large(f"It unpacks to more than {self._bytes_max} bytes.")
            files.write_whole(out, piece, size)
            size += len(piece)
            unchecked += len(piece)
            self._pending_bytes += len(piece)
            if unchecked >= BATCH_BYTES:
                unchecked = 0
                self._take_room()
        return size

    def _place(self, directory: RelPath, staged: list[_Staged]) -> None:
        try:
            self._make_parents(directory)
            with opened_directory(self._top, directory) as parent:
                for one in staged:
                    self._rename(one, parent)
        except OSError as error:
            for one in staged:
                self._skip(one, error)

    def _rename(self, one: _Staged, parent: int) -> None:
        try:
            move_in(self._aside, one.name, parent, one.path.name)
        except OSError as error:
            self._skip(one, error)
            return
        self._volume.room.settle(self._room, one.size)
        self.report.files += 1

    def _skip(self, one: _Staged, error: OSError) -> None:
        self._unlink(one.name)
        self.report.skip(str(one.path), error.strerror or "cannot be made")

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._aside)

    def _too_large(self, why: str) -> ArchiveTooLarge:
        return ArchiveTooLarge(why, self.report.facts())
