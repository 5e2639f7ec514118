"""What a volume is to the rest of the daemon, and what a backend has to make of its options.

Blocking functions are marked so; they are run by `run` (with a deadline) or `run_long`.
"""

import enum
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ..layout import FolderId, ScopeId
from ..owner import Owner
from ..settings import VolumeOptions

T = TypeVar("T")


class Capability(enum.StrEnum):
    """What a volume can do, as managers and user interfaces know it."""

    VFOLDER = "vfolder"
    QUOTA = "quota"
    METRIC = "metric"
    FAST_FS_SIZE = "fast-fs-size"
    FAST_SCAN = "fast-scan"
    FAST_SIZE = "fast-size"


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
class ScopeUsage:
    """None is no limit, or not known."""

    used_bytes: int | None
    limit_bytes: int | None


class Quotas(Protocol):
    """The hard limits of quota scopes. All of it blocks."""

    def ensure(self, scope: ScopeId) -> None:
        """Its directory is there; a new one has no limit."""
        ...

    def make(self, scope: ScopeId, limit_bytes: int | None) -> None:
        """Raises QuotaScopeExists."""
        ...

    def get(self, scope: ScopeId) -> ScopeUsage:
        """Raises QuotaScopeNotFound."""
        ...

    def set_limit(self, scope: ScopeId, limit_bytes: int | None) -> None:
        """Raises QuotaScopeNotFound."""
        ...

    def check_room(self, scope: ScopeId, wanted_bytes: int) -> None:
        """Raises StorageFull when the scope has no room for so many bytes more."""
        ...

    def note(self, scope: ScopeId, bytes_more: int) -> None:
        """What was written or removed by this daemon, so that the next check knows of it."""
        ...


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

    async def run_long(self, function: Callable[..., T], *args: object) -> T:
        """As `run`, for what takes as long as it takes."""
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
