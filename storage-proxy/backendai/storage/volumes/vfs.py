"""A volume that is a plain directory: a local disk, NFS, or whatever else is mounted there.

Usage is counted, and quotas are enforced by counting.
"""

import asyncio
import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from backendai.common.beneath import open_beneath
from backendai.common.storage_faults import FolderNotFound, VolumeUnavailable

from ..layout import FolderId
from ..owner import Owner
from ..uploads.listing import list_reservations
from .count import Counts, count_tree
from .limits import CountedQuotas
from .performance import read_performance
from .quotas import Quotas
from .room import NotCounted, Reservation, Room
from .threads import VolumeThreads
from .top import VolumeTop
from .volume import Capability, FolderUsage, FsUsage, Performance, VolumeParts, Work

T = TypeVar("T")

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class DirectoryVolume:
    def __init__(
        self,
        parts: VolumeParts,
        top: VolumeTop,
        quotas: Quotas,
        capabilities: frozenset[Capability],
    ) -> None:
        self._parts = parts
        self._top = top
        self._threads = VolumeThreads(parts.name, parts.threads, parts.io_timeout_seconds)
        self._quotas = quotas
        self._room = Room(quotas, self._find_free, self._list_reservations)
        self._capabilities = capabilities
        self._counts: Counts[FolderId] = Counts()

    @property
    def name(self) -> str:
        return self._parts.name

    @property
    def backend(self) -> str:
        return self._parts.options.backend

    @property
    def path(self) -> Path:
        return self._parts.options.path

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._capabilities

    @property
    def owner(self) -> Owner:
        return self._parts.owner

    @property
    def quotas(self) -> Quotas:
        return self._quotas

    @property
    def room(self) -> Room:
        return self._room

    def volume_id(self) -> str:
        return self._top.id()

    @contextmanager
    def opened_top(self) -> Iterator[int]:
        with self._top.opened() as fd:
            yield fd

    @contextmanager
    def opened_folder(self, folder: FolderId) -> Iterator[int]:
        with self._top.opened() as top:
            try:
                fd = open_beneath(top, folder.path, _FOLDER)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise FolderNotFound(f"there is no {folder} on volume {self.name}") from error
        try:
            yield fd
        finally:
            os.close(fd)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return await self._threads.run(function, *args)

    async def run_counted(self, function: Callable[..., T], *args: object) -> T:
        while True:
            try:
                return await self.run(function, *args)
            except NotCounted as missing:
                await self._count(missing)

    async def _count(self, missing: NotCounted) -> None:
        deadline = asyncio.timeout(self._parts.io_timeout_seconds)
        try:
            async with deadline:
                await self.run_shared(missing.scope, self._room.count, missing)
        except TimeoutError as error:
            raise VolumeUnavailable(
                f"what {missing.scope} holds is being counted, which takes a while: try again",
                {"volume": self.name},
            ) from error

    async def run_long(self, work: Work, function: Callable[..., T], *args: object) -> T:
        return await self._threads.run_long(work, function, *args)

    async def run_shared(self, key: Hashable, function: Callable[..., T], *args: object) -> T:
        return await self._threads.run_shared(key, function, *args)

    def usage(self, folder: FolderId) -> FolderUsage:
        with self.opened_folder(folder) as fd:
            return self._counts.usage(self._counts.get(folder, lambda: count_tree(fd)))

    def fs_usage(self) -> FsUsage:
        with self._top.opened() as top:
            found = os.fstatvfs(top)
        capacity = found.f_blocks * found.f_frsize
        return FsUsage(capacity, capacity - found.f_bfree * found.f_frsize)

    def _find_free(self) -> int | None:
        """None for file systems that do not say."""
        with self._top.opened() as top:
            found = os.fstatvfs(top)
        return found.f_bavail * found.f_frsize if found.f_blocks else None

    def _list_reservations(self) -> Iterator[Reservation]:
        with self._top.opened() as top:
            yield from list_reservations(top, is_inside=self._quotas.counts_parts)

    def performance(self) -> Performance:
        with self._top.opened() as top:
            return read_performance(os.fstat(top).st_dev, self.path)

    def close(self) -> None:
        self._threads.close()


def open_vfs(parts: VolumeParts) -> DirectoryVolume:
    top = VolumeTop(parts.name, parts.options.path, is_mount=parts.options.mount)
    capabilities = frozenset(
        {Capability.VFOLDER, Capability.QUOTA, Capability.METRIC, Capability.FAST_FS_SIZE}
    )
    return DirectoryVolume(parts, top, CountedQuotas(top), capabilities)
