"""Folders as values, and how their status moves: `(status, event) -> status`. PURE.

What users keep in a folder is never lost by a missing answer: a folder is `ready` only after its
proxy made it, and its row goes only after the proxy deleted it.
"""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from backendai.common.faults import Conflict


class FolderStatus(enum.StrEnum):
    """GONE is no row: what a folder is when its proxy has deleted it, or will never again."""

    PERFORMING = "performing"
    CLONING = "cloning"
    READY = "ready"
    BINNED = "delete-pending"
    DELETING = "deleting"
    GONE = "gone"


class FolderEvent(enum.StrEnum):
    MADE = "made"  # the proxy made it, or copied all of it
    FAILED = "failed"  # the proxy could not, or nobody knows; what is there of it has to go
    DELETE = "delete"  # its owner put it into the bin
    RESTORE = "restore"  # its owner took it out of the bin
    PURGE = "purge"  # its files shall be deleted for ever
    PURGED = "purged"  # the proxy deleted its files
    ABANDON = "abandon"  # nobody will say that its files are gone; they count as gone


class UsageMode(enum.StrEnum):
    GENERAL = "general"
    MODEL = "model"
    DATA = "data"


class Permission(enum.StrEnum):
    """What somebody may with the files of a folder. An owner has WRITE_DELETE; for everybody else
    it allows what READ_WRITE does."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"
    WRITE_DELETE = "wd"


class Ownership(enum.StrEnum):
    USER = "user"
    PROJECT = "group"


S = FolderStatus
E = FolderEvent

TABLE: Final[Mapping[tuple[FolderStatus, FolderEvent], FolderStatus]] = MappingProxyType(
    {
        (S.PERFORMING, E.MADE): S.READY,
        (S.PERFORMING, E.FAILED): S.DELETING,
        (S.PERFORMING, E.PURGE): S.DELETING,
        (S.CLONING, E.MADE): S.READY,
        (S.CLONING, E.FAILED): S.DELETING,
        (S.CLONING, E.PURGE): S.DELETING,
        (S.READY, E.DELETE): S.BINNED,
        (S.BINNED, E.RESTORE): S.READY,
        (S.BINNED, E.PURGE): S.DELETING,
        (S.DELETING, E.PURGED): S.GONE,
        (S.DELETING, E.ABANDON): S.GONE,
    }
)
FINAL: Final = frozenset(FolderStatus) - {status for status, _ in TABLE}
# These have their name to themselves, and count against the limits of their owner.
LISTED: Final = frozenset({S.PERFORMING, S.CLONING, S.READY})
# These wait for something; what each waits for at the longest, before it is looked after.
PATIENCE_SECONDS: Final[Mapping[FolderStatus, float]] = MappingProxyType(
    {S.PERFORMING: 120.0, S.CLONING: 30.0, S.DELETING: 30.0}
)

_HINTS: Final[Mapping[FolderStatus, str]] = MappingProxyType(
    {
        S.PERFORMING: "is being made; try again in a moment",
        S.CLONING: "is being copied; try again when that is done",
        S.READY: "is not in the bin; delete it first",
        S.BINNED: "is in the bin; restore it first",
        S.DELETING: "is being deleted for ever",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as stored. `quota_scope_id` is where it lies on its volume: that of whom it was made
    for, also when its owner changed since. Owners are both None only while it is deleted.
    `is_guarded`: its owner is a superadmin. An unmanaged one has an `unmanaged_path` and an empty
    `host`: it is a directory that administrators keep on nodes, which nobody makes or deletes."""

    id: uuid.UUID
    revision: int
    name: str
    domain: str
    host: str
    quota_scope_id: str
    usage_mode: UsageMode
    permission: Permission
    ownership: Ownership
    user_id: uuid.UUID | None
    project_id: uuid.UUID | None
    creator: str
    cloneable: bool
    status: FolderStatus
    status_changed_at: datetime
    unmanaged_path: str | None
    last_used_at: datetime | None
    created_at: datetime
    user_email: str | None = None
    project: str | None = None
    is_guarded: bool = False

    @property
    def is_unmanaged(self) -> bool:
        return self.unmanaged_path is not None

    @property
    def owner_id(self) -> uuid.UUID | None:
        """Of the user or project."""
        return self.user_id or self.project_id

    @property
    def counts_for_owner(self) -> bool:
        """False for one that was handed on: it lies, and counts, where it was made."""
        return self.quota_scope_id.partition(":")[2] == str(self.owner_id)

    @property
    def vfid(self) -> str:
        """What proxies know it by."""
        return f"{self.quota_scope_id}/{self.id.hex}"


def next_status(status: FolderStatus, event: FolderEvent) -> FolderStatus:
    """Raises Conflict, with what it is instead, where `event` cannot happen."""
    try:
        return TABLE[status, event]
    except KeyError:
        raise refuse_status(status) from None


def require_ready(folder: Folder) -> Folder:
    """The folder. Raises Conflict while its files cannot be used."""
    if folder.status is not FolderStatus.READY:
        raise refuse_status(folder.status)
    return folder


def refuse_status(status: FolderStatus) -> Conflict:
    return Conflict(f"The folder {_HINTS[status]}.", {"status": status.value})


def user_quota_scope(user_id: uuid.UUID) -> str:
    return f"user:{user_id}"


def project_quota_scope(project_id: uuid.UUID) -> str:
    return f"project:{project_id}"
