"""A volume on a file system with project quotas, as XFS has them: it enforces limits itself.

Each quota scope is a project, which containers that write into its folders count for as well.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from backendai.common.beneath import open_beneath
from backendai.common.storage_faults import (
    QuotaScopeExists,
    QuotaScopeNotFound,
    StorageInvalidParams,
    VolumeUnavailable,
)

from ..layout import ScopeId, parse_scope_id
from .limits import SCOPE_MODE, has_limit_file, write_limit
from .projects import (
    is_enforced,
    join_project,
    move_to_project,
    read_project,
    read_project_usage,
    write_project_limit,
)
from .quotas import ScopeUsage
from .top import VolumeTop
from .vfs import DirectoryVolume
from .volume import Capability, VolumeParts

_PROJECT_MAX: Final = 2**31


class ProjectQuotas:
    counts_parts = True

    def __init__(self, volume: str, top: VolumeTop) -> None:
        self._volume = volume
        self._top = top

    def ensure(self, scope: ScopeId) -> None:
        with self._opened_top() as top:
            with suppress(FileExistsError):
                os.mkdir(str(scope), SCOPE_MODE, dir_fd=top)
                os.fsync(top)
            self._join(top, scope)

    def make(self, scope: ScopeId, limit_bytes: int | None) -> None:
        with self._opened_top() as top:
            with suppress(FileExistsError):
                os.mkdir(str(scope), SCOPE_MODE, dir_fd=top)
                os.fsync(top)
            self._join(top, scope)
        # Until nobody said what its limit is, it is as new: a daemon died before that.
        if self._was_limited(scope):
            raise QuotaScopeExists(f"{scope} exists already")
        self.set_limit(scope, limit_bytes)

    def _was_limited(self, scope: ScopeId) -> bool:
        with self._opened_scope(scope) as fd:
            found = read_project_usage(fd, read_project(fd))
            return found.limit_bytes is not None or has_limit_file(fd)

    def _join(self, top: int, scope: ScopeId) -> None:
        """Before anything is in it, so that nothing escapes the count."""
        fd = _open(top, scope)
        try:
            if read_project(fd) == 0:
                join_project(fd, _choose_project(top, scope))
        finally:
            os.close(fd)

    def get(self, scope: ScopeId) -> ScopeUsage:
        with self._opened_scope(scope) as fd:
            found = read_project_usage(fd, read_project(fd))
        return ScopeUsage(found.used_bytes, found.limit_bytes)

    def set_limit(self, scope: ScopeId, limit_bytes: int | None) -> None:
        with self._opened_scope(scope) as fd:
            write_project_limit(fd, read_project(fd), limit_bytes)
            # The limit is what the file system has; the file tells that somebody set it.
            write_limit(fd, limit_bytes)

    def renew(self, scope: ScopeId) -> ScopeUsage:
        return self.get(scope)

    def find(self, scope: ScopeId, *, is_new: bool) -> ScopeUsage:
        """Never has to be counted."""
        return self.get(scope)

    def note(self, scope: ScopeId, bytes_more: int) -> None:
        """The file system counts by itself."""

    def adopt(self, fd: int, scope: ScopeId) -> None:
        with self._opened_scope(scope) as directory:
            move_to_project(fd, read_project(directory))

    @contextmanager
    def _opened_top(self) -> Iterator[int]:
        """Raises VolumeUnavailable: a limit that nobody enforces must not look like one."""
        with self._top.opened() as top:
            if not is_enforced(top):
                raise VolumeUnavailable(
                    f"volume {self._volume} enforces no project quotas: mount it with prjquota, "
                    'or set its backend to "vfs", which counts',
                    {"volume": self._volume},
                )
            yield top

    @contextmanager
    def _opened_scope(self, scope: ScopeId) -> Iterator[int]:
        """Raises QuotaScopeNotFound."""
        with self._opened_top() as top:
            try:
                fd = _open(top, scope)
            except FileNotFoundError as error:
                raise QuotaScopeNotFound(f"there is no {scope} on this volume") from error
            try:
                yield fd
            finally:
                os.close(fd)


def _open(top: int, scope: ScopeId) -> int:
    return open_beneath(top, scope.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _choose_project(top: int, scope: ScopeId) -> int:
    """By the name of the scope, so that it is the same again; the next where that is taken."""
    taken = set(_list_projects(top))
    digest = hashlib.sha256(str(scope).encode()).digest()
    project = int.from_bytes(digest[:4], "little") % (_PROJECT_MAX - 1) + 1
    while project in taken:
        project = project % (_PROJECT_MAX - 1) + 1
    return project


def _list_projects(top: int) -> Iterator[int]:
    for name in os.listdir(top):
        with suppress(StorageInvalidParams, NotADirectoryError, FileNotFoundError):
            fd = _open(top, parse_scope_id(name))
            try:
                yield read_project(fd)
            finally:
                os.close(fd)


def open_xfs(parts: VolumeParts) -> DirectoryVolume:
    top = VolumeTop(parts.name, parts.options.path, is_mount=parts.options.mount)
    capabilities = frozenset(
        {
            Capability.VFOLDER,
            Capability.QUOTA,
            Capability.METRIC,
            Capability.FAST_FS_SIZE,
            Capability.FAST_SIZE,
        }
    )
    return DirectoryVolume(parts, top, ProjectQuotas(parts.name, top), capabilities)
