"""Hard limits of quota scopes, kept beside their folders and counted by this daemon.

A container that writes into a mounted folder is seen at the next count; what this daemon itself
writes is added at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from backendai.common.beneath import open_beneath
from backendai.common.storage_faults import (
    QuotaScopeExists,
    QuotaScopeNotFound,
    VolumeFailed,
)

from ..layout import ScopeId
from .count import Counts, count_tree
from .quotas import ScopeUsage
from .top import VolumeTop, replace_file

QUOTA_FILE: Final = ".quota.json"
# Whoever knows the name of a folder may pass; nobody else's folders are listed.
SCOPE_MODE: Final = 0o711


class CountedQuotas:
    counts_parts = False

    def __init__(self, top: VolumeTop) -> None:
        self._top = top
        self._counts: Counts[ScopeId] = Counts()

    def ensure(self, scope: ScopeId) -> None:
        with self._top.opened() as top, suppress(FileExistsError):
            os.mkdir(str(scope), SCOPE_MODE, dir_fd=top)
            os.fsync(top)

    def make(self, scope: ScopeId, limit_bytes: int | None) -> None:
        with self._top.opened() as top:
            try:
                os.mkdir(str(scope), SCOPE_MODE, dir_fd=top)
            except FileExistsError:
                # Without the file nobody said yet what its limit is: a daemon died before that.
                if self._was_limited(scope):
                    raise QuotaScopeExists(f"{scope} exists already") from None
            os.fsync(top)
        self.set_limit(scope, limit_bytes)

    def _was_limited(self, scope: ScopeId) -> bool:
        with self._opened(scope) as fd:
            return has_limit_file(fd)

    def get(self, scope: ScopeId) -> ScopeUsage:
        with self._opened(scope) as fd:
            count = self._counts.get(scope, lambda: count_tree(fd, QUOTA_FILE))
            return ScopeUsage(count.size_bytes, read_limit(fd))

    def renew(self, scope: ScopeId) -> ScopeUsage:
        with self._opened(scope) as fd:
            count = self._counts.renew(scope, lambda: count_tree(fd, QUOTA_FILE))
            return ScopeUsage(count.size_bytes, read_limit(fd))

    def find(self, scope: ScopeId, *, is_new: bool) -> ScopeUsage | None:
        with self._opened(scope) as fd:
            limit = read_limit(fd)
        if limit is None:
            return ScopeUsage(None, None)
        count = self._counts.find(scope, is_new=is_new)
        return None if count is None else ScopeUsage(count.size_bytes, limit)

    def set_limit(self, scope: ScopeId, limit_bytes: int | None) -> None:
        with self._opened(scope) as fd:
            write_limit(fd, limit_bytes)

    def note(self, scope: ScopeId, bytes_more: int) -> None:
        self._counts.add(scope, bytes_more)

    def adopt(self, fd: int, scope: ScopeId) -> None:
        """A file counts for the scope when it has come into it."""

    @contextmanager
    def _opened(self, scope: ScopeId) -> Iterator[int]:
        with self._top.opened() as top:
            try:
                fd = open_beneath(top, scope.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError as error:
                raise QuotaScopeNotFound(f"there is no {scope} on this volume") from error
        try:
            yield fd
        finally:
            os.close(fd)


def has_limit_file(scope_fd: int) -> bool:
    """Whether somebody said what its limit is, also that there is none."""
    try:
        os.stat(QUOTA_FILE, dir_fd=scope_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def write_limit(scope_fd: int, limit_bytes: int | None) -> None:
    """Durable. Raises OSError."""
    replace_file(scope_fd, QUOTA_FILE, msgspec.json.encode({"limit_bytes": limit_bytes}), 0o600)


def read_limit(scope_fd: int) -> int | None:
    """None without a limit. Raises VolumeFailed: a limit that cannot be read is not "none"."""
    try:
        fd = os.open(QUOTA_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=scope_fd)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            content: Any = msgspec.json.decode(file.read(4096))
            limit = content["limit_bytes"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise VolumeFailed(f"{QUOTA_FILE} of the quota scope is damaged") from error
    return None if limit is None else int(limit)
