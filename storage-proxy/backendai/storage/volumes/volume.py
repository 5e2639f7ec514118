"""What a volume is to the rest of the daemon, and what a backend has to make of its options.

Blocking functions are marked so; they are run by `run` (with a deadline), or by `run_long` and
`run_shared` where they are marked to block long.
"""

import enum
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ..layout import FolderId
from ..owner import Owner
from ..settings import VolumeOptions
from .quotas import Quotas
from .room import Room

T = TypeVar("T")


class Capability(enum.StrEnum):
    """What a volume can do, as managers and user interfaces know it."""

    VFOLDER = "vfolder"
    QUOTA = "quota"
    METRIC = "metric"
    FAST_FS_SIZE = "fast-fs-size"
    FAST_SCAN = "fast-scan"
    FAST_SIZE = "fast-size"


class Work(enum.Enum):
    """Kinds of long work. Each has threads of its own, so that none waits for another kind."""

    COUNT = "count"
    COPY = "copy"
    UNPACK = "unpack"
    CHECK = "check"
    CLEAN = "clean"


class Health(enum.StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class FolderUsage:
    """What a folder holds; it was counted `age_seconds` ago."""

    file_count: int
    used_bytes: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class FsUsage:
    capacity_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Performance:
    """Operations, bytes and microseconds since the machine started."""

    iops_read: int
    iops_write: int
    io_bytes_read: int
    io_bytes_write: int
    io_usec_read: int
    io_usec_write: int


@dataclass(frozen=True, slots=True)
class VolumeParts:
    """What a backend makes a volume of."""

    name: str
    options: VolumeOptions
    owner: Owner
    threads: int
    io_timeout_seconds: float


class Volume(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def backend(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def owner(self) -> Owner: ...

    @property
    def quotas(self) -> Quotas: ...

    @property
    def room(self) -> Room: ...

    def volume_id(self) -> str:
        """The id in the file at its top, made when there is none. Blocks."""
        ...

    def opened_top(self) -> AbstractContextManager[int]:
        """A descriptor of the volume's own directory. Blocks. Raises VolumeUnavailable."""
        ...

    def opened_folder(self, folder: FolderId) -> AbstractContextManager[int]:
        """A descriptor of the folder's directory. Blocks. Raises FolderNotFound,
        VolumeUnavailable."""
        ...

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a thread of this volume; OSErrors become faults.

        Raises VolumeUnavailable after the deadline."""
        ...

    async def run_counted(self, function: Callable[..., T], *args: object) -> T:
        """As `run`, for what may raise NotCounted: then the scope is counted first.

        Raises VolumeUnavailable while that takes longer than the deadline."""
        ...

    async def run_long(self, work: Work, function: Callable[..., T], *args: object) -> T:
        """As `run`, for what takes as long as it takes."""
        ...

    async def run_shared(self, key: Hashable, function: Callable[..., T], *args: object) -> T:
        """As `run_long`, for counting: who comes with the same key meanwhile gets the same."""
        ...

    def usage(self, folder: FolderId) -> FolderUsage:
        """Counted, perhaps a short while ago. Blocks long. Raises FolderNotFound."""
        ...

    def fs_usage(self) -> FsUsage:
        """Blocks."""
        ...

    def performance(self) -> Performance:
        """Blocks."""
        ...

    def close(self) -> None: ...


OpenVolume = Callable[[VolumeParts], Volume]
