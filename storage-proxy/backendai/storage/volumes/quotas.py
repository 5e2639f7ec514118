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
    StorageFull,
    VolumeFailed,
)

from ..layout import ScopeId
from .count import Counts, count_tree
from .top import VolumeTop, replace_file
from .volume import ScopeUsage

QUOTA_FILE: Final = ".quota.json"
# Whoever knows the name of a folder may pass; nobody else's folders are listed.
SCOPE_MODE: Final = 0o711


class CountedQuotas:
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
        """Also to "no limit"."""
        with self._opened(scope) as fd:
            try:
                os.stat(QUOTA_FILE, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return True

    def get(self, scope: ScopeId) -> ScopeUsage:
        with self._opened(scope) as fd:
            used = self._counts.get(scope, lambda: count_tree(fd, QUOTA_FILE)).size_bytes
            return ScopeUsage(used, read_limit(fd))

    def set_limit(self, scope: ScopeId, limit_bytes: int | None) -> None:
        with self._opened(scope) as fd:
            replace_file(fd, QUOTA_FILE, msgspec.json.encode({"limit_bytes": limit_bytes}), 0o600)

    def check_room(self, scope: ScopeId, wanted_bytes: int) -> None:
        with self._opened(scope) as fd:
            limit = read_limit(fd)
            if limit is None:
                return
            count = self._counts.get(scope, lambda: count_tree(fd, QUOTA_FILE))
            if count.size_bytes + wanted_bytes > limit:
                # Somebody may have cleaned up since: nobody is refused for an old count.
                count = self._counts.renew(scope, lambda: count_tree(fd, QUOTA_FILE))
        used = count.size_bytes
        if used + wanted_bytes > limit:
            raise StorageFull(
                f"{scope} holds {used} bytes and may hold {limit}: no room for {wanted_bytes} more",
                {"usedBytes": used, "limitBytes": limit, "wantedBytes": wanted_bytes},
            )

    def note(self, scope: ScopeId, bytes_more: int) -> None:
        self._counts.add(scope, bytes_more)

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
