"""Counting what lies below a directory, by descriptors and without following links."""

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, Generic, TypeVar

from backendai.common.beneath import opened_directory
from backendai.common.paths import RelPath

from .volume import FolderUsage
from .walk import skip, walk

K = TypeVar("K")

FRESH_SECONDS: Final = 10.0
RENEWED_SECONDS: Final = 1.0
# A large folder takes long to count, so its count is good for longer.
_FRESH_PER_COST: Final = 20.0
_KEPT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """Files and links (not directories) and their sizes in bytes; hard links count once."""

    files: int
    size_bytes: int
    taken_at: float
    cost_seconds: float

    def is_fresh(self, at: float, least_seconds: float = FRESH_SECONDS) -> bool:
        return at - self.taken_at < max(least_seconds, self.cost_seconds * _FRESH_PER_COST)


def count_tree(top: int, left_out: str = "") -> Count:
    """What lies below the open directory `top`, without the file `left_out` in it.

    Blocks. Raises OSError.

    What disappears meanwhile, and what nobody but its owner may read, is not counted.
    """
    began = time.monotonic()
    files = size_bytes = 0
    linked: set[tuple[int, int]] = set()
    for found in walk(top, on_error=skip):
        if found.is_directory or found.path == left_out:
            continue
        files += 1
        identity = (found.stat.st_dev, found.stat.st_ino)
        if identity in linked:
            continue
        if found.stat.st_nlink > 1:
            linked.add(identity)
        size_bytes += found.stat.st_size
    taken_at = time.monotonic()
    return Count(files, size_bytes, taken_at, taken_at - began)


def count_item(directory: int, name: str) -> int:
    """Bytes of a file or a link in the open directory, or of all below a directory. Blocks.

    Raises OSError.
    """
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size
    with opened_directory(directory, RelPath((name,))) as top:
        return count_tree(top).size_bytes


@dataclass(slots=True)
class _Walk:
    """A count that is being taken, and what was written meanwhile: it may have passed there."""

    result: "Future[Count]" = field(default_factory=Future)
    bytes_more: int = 0


class Counts(Generic[K]):
    """Counts that were taken a short while ago, by what was counted; one walk at once for each."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()
        self._kept: OrderedDict[K, Count] = OrderedDict()
        self._walks: dict[K, _Walk] = {}

    def get(self, key: K, count: Callable[[], Count]) -> Count:
        """A fresh one, taken by `count` when there is none. Blocks."""
        return self.find(key, is_new=False) or self._take(key, count)

    def renew(self, key: K, count: Callable[[], Count]) -> Count:
        """One that was taken just now: counting all the time would be an attack. Blocks."""
        return self.find(key, is_new=True) or self._take(key, count)

    def find(self, key: K, *, is_new: bool) -> Count | None:
        """One that `get` would give, or with `is_new` `renew`, without taking another."""
        with self._lock:
            found = self._kept.get(key)
        least_seconds = RENEWED_SECONDS if is_new else FRESH_SECONDS
        return found if found and found.is_fresh(self._now(), least_seconds) else None

    def _take(self, key: K, count: Callable[[], Count]) -> Count:
        with self._lock:
            running = self._walks.get(key)
            walk = running or self._walks.setdefault(key, _Walk())
        if running is None:
            self._finish(key, walk, count)
        return walk.result.result()

    def _finish(self, key: K, walk: _Walk, count: Callable[[], Count]) -> None:
        try:
            taken = replace(count(), taken_at=self._now())
        except BaseException as error:
            with self._lock:
                del self._walks[key]
            walk.result.set_exception(error)
            return
        with self._lock:
            del self._walks[key]
            taken = replace(taken, size_bytes=taken.size_bytes + walk.bytes_more)
            self._kept[key] = taken
            self._kept.move_to_end(key)
            if len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        walk.result.set_result(taken)

    def add(self, key: K, bytes_more: int) -> None:
        """What changed since the count of `key` was taken."""
        with self._lock:
            walk = self._walks.get(key)
            if walk is not None:
                walk.bytes_more += max(0, bytes_more)
            found = self._kept.get(key)
            if found is not None:
                size = max(0, found.size_bytes + bytes_more)
                self._kept[key] = replace(found, size_bytes=size)

    def usage(self, count: Count) -> FolderUsage:
        return FolderUsage(count.files, count.size_bytes, self._now() - count.taken_at)
