"""What somebody may do with a folder. PURE: the folder and the relation to it were loaded before.

Two things are asked: the right that whoever asks has on the folder, and the permission that the
storage host gives to their domain, projects and policy.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from backendai.common.enums import HostPermission
from backendai.common.faults import Conflict, Forbidden, VFolderNotFound
from backendai.manager.gate.actor import Actor, may_manage

from .allowed import AllowedHosts, require_on_host
from .model import Folder, Ownership, Permission


class Relation(enum.StrEnum):
    """How somebody stands to a folder, the closest that is true."""

    OWNER = "owner"  # one's own, or a project's for its admins and those of its domain
    MEMBER = "member"  # of the project that owns it
    INVITEE = "invitee"  # somebody else shared it
    ADMINISTRATOR = "administrator"  # of the domain of whoever owns it


class Right(enum.StrEnum):
    SEE = "see"  # that it is there, and what is said of it
    READ = "read"  # its files
    WRITE = "write"  # its files, deleting them too
    MANAGE = "manage"  # the folder itself: its name, its options, the bin
    SHARE = "share"  # with others


class Operation(enum.Enum):
    """What is done with a folder: the right that it needs, and what the host has to allow."""

    INFO = (Right.SEE, None)
    LIST_FILES = (Right.READ, None)
    DOWNLOAD = (Right.READ, HostPermission.DOWNLOAD)
    MOUNT = (Right.READ, HostPermission.MOUNT)
    MOUNT_WRITABLE = (Right.WRITE, HostPermission.MOUNT)
    CLONE = (Right.READ, None)
    UPLOAD = (Right.WRITE, HostPermission.UPLOAD)
    MKDIR = (Right.WRITE, HostPermission.UPLOAD)
    # Not tied to a permission of the host: a full folder can always be cleaned up.
    DELETE_FILES = (Right.WRITE, None)
    MOVE_FILES = (Right.WRITE, HostPermission.MODIFY)
    RENAME = (Right.MANAGE, HostPermission.MODIFY)
    SET_OPTIONS = (Right.MANAGE, HostPermission.MODIFY)
    DELETE = (Right.MANAGE, HostPermission.DELETE)
    RESTORE = (Right.MANAGE, HostPermission.DELETE)
    PURGE = (Right.MANAGE, HostPermission.DELETE)
    INVITE = (Right.SHARE, HostPermission.INVITE)
    SHARE = (Right.SHARE, HostPermission.SET_USER_PERMISSION)
    SET_SHARE = (Right.MANAGE, HostPermission.SET_USER_PERMISSION)
    # Whoever may no longer do anything on the host can still take back what was given.
    UNSHARE = (Right.MANAGE, None)

    def __init__(self, right: Right, on_host: HostPermission | None) -> None:
        self.right = right
        self.on_host = on_host


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder as somebody sees it. `permission` is what they may with its files; None is nothing:
    who merely administers a folder does not read what others keep in it. `is_administered`: they
    administer it, also where a share of it is closer."""

    folder: Folder
    relation: Relation
    permission: Permission | None
    is_administered: bool = False

    @property
    def is_owner(self) -> bool:
        return self.relation is Relation.OWNER

    @property
    def rights(self) -> frozenset[Right]:
        held = rights_of(self.relation, self.permission)
        return held | rights_of(Relation.ADMINISTRATOR, None) if self.is_administered else held


_ALL: Final = frozenset(Right)
_BY_PERMISSION: Final[Mapping[Permission | None, frozenset[Right]]] = MappingProxyType(
    {
        None: frozenset({Right.SEE}),
        Permission.READ_ONLY: frozenset({Right.SEE, Right.READ}),
        Permission.READ_WRITE: frozenset({Right.SEE, Right.READ, Right.WRITE}),
        Permission.WRITE_DELETE: frozenset({Right.SEE, Right.READ, Right.WRITE}),
    }
)


def rights_of(relation: Relation, permission: Permission | None) -> frozenset[Right]:
    match relation:
        case Relation.OWNER:
            return _ALL
        case Relation.ADMINISTRATOR:
            return frozenset({Right.SEE, Right.MANAGE})
        case _:
            return _BY_PERMISSION[permission]


def see(actor: Actor, folder: Folder, *, is_member: bool, shared: Permission | None) -> Seen | None:
    """The folder as `actor` sees it; None is not at all.

    `is_member` is of the project that owns it; `shared` is what was given to this user alone, which
    counts instead of what all members may.
    """
    relation = relate(actor, folder, is_member=is_member, is_shared=shared is not None)
    if relation is None:
        return None
    permission = {
        Relation.OWNER: Permission.WRITE_DELETE,
        Relation.MEMBER: shared or folder.permission,
        Relation.INVITEE: shared,
        Relation.ADMINISTRATOR: None,
    }[relation]
    return Seen(folder, relation, permission, _is_administered(actor, folder))


def relate(actor: Actor, folder: Folder, *, is_member: bool, is_shared: bool) -> Relation | None:
    is_administrator = _is_administered(actor, folder)
    if folder.ownership is Ownership.PROJECT:
        if is_administrator or folder.project_id in actor.administers:
            return Relation.OWNER
        return Relation.MEMBER if is_member else None
    if folder.user_id == actor.user_id:
        return Relation.OWNER
    if is_shared:
        return Relation.INVITEE
    return Relation.ADMINISTRATOR if is_administrator else None


def _is_administered(actor: Actor, folder: Folder) -> bool:
    is_managed = may_manage(actor, folder.domain) and not folder.is_guarded
    return actor.is_superadmin or is_managed


def authorize(seen: Seen, operation: Operation, allowed: AllowedHosts) -> Folder:
    """The folder. Raises Forbidden that says which right or permission is missing.

    Only for a folder that is seen: what is not seen is not found.
    """
    folder = seen.folder
    if operation.right not in seen.rights:
        raise Forbidden(_missing_right(seen, operation.right))
    is_for_another = seen.is_administered and not seen.is_owner
    is_managed_for_another = is_for_another and operation.right is Right.MANAGE
    is_free = folder.is_unmanaged or is_managed_for_another
    if operation.on_host is not None and not is_free:
        require_on_host(allowed, folder.host, operation.on_host)
    return folder


def pick_seen(found: Sequence[Seen], name: str) -> Seen:
    """The one that a name means: one's own before a project's before what others share.

    Raises VFolderNotFound, and Conflict with their ids where it means several.
    """
    ranked = sorted((_rank(seen), seen.folder.id.hex) for seen in found)
    if not ranked:
        raise VFolderNotFound(name, {"name": name})
    meant = [folder_id for rank, folder_id in ranked if rank == ranked[0][0]]
    if len(meant) > 1:
        raise Conflict(f"Several folders are named {name}; use an id.", {"ids": meant})
    return next(seen for seen in found if seen.folder.id.hex == meant[0])


def _rank(seen: Seen) -> int:
    if seen.folder.ownership is Ownership.PROJECT:
        return 1
    return 0 if seen.is_owner else 2


def _missing_right(seen: Seen, right: Right) -> str:
    if seen.relation is Relation.ADMINISTRATOR:
        return "Administrators manage the folders of others; they do not read or write them."
    if right in (Right.MANAGE, Right.SHARE):
        return f"Only the owner of {seen.folder.name} may do this."
    held = seen.permission.value if seen.permission else "none"
    return f"This needs the right to {right.value} in {seen.folder.name}; yours is {held}."
