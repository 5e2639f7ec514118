"""What calls of folders take and give: frozen values as they are on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

BINNED = "delete-pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVfolder:
    """`project` (a name or an id) owns it in place of the user; `host` None is the default one.
    `permission` is ro, rw or wd, what others than its owner get. With an `unmanaged_path` it is
    that directory of nodes, on no host; for superadmins."""

    name: str
    host: str | None = None
    unmanaged_path: str | None = None
    project: str | None = None
    usage_mode: str = "general"
    permission: str = "rw"
    cloneable: bool = False


class Vfolder(msgspec.Struct, frozen=True, kw_only=True):
    """One of a list. `id` is 32 hex digits; `type` is user or group, a project's. One with an
    `unmanaged_path` has an empty `host`."""

    id: str
    name: str
    host: str
    quota_scope_id: str
    status: str
    usage_mode: str
    permission: str
    cloneable: bool
    ownership_type: str
    is_owner: bool = True
    creator: str = ""
    created_at: str | None = None
    user_email: str | None = None
    group_name: str | None = None
    unmanaged_path: str | None = None


class VfolderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`num_files` and `used_bytes` were counted at `usage_at`; None where nobody tells.
    `counts_for_owner` is false for one that was handed on: it counts where it was made."""

    id: str
    name: str
    host: str
    quota_scope_id: str
    status: str
    usage_mode: str
    permission: str
    cloneable: bool
    type: str
    is_owner: bool
    user: str
    group: str
    created_at: str
    last_used: str | None = None
    num_files: int | None = None
    used_bytes: int | None = None
    usage_at: str | None = None
    counts_for_owner: bool = True
    unmanaged_path: str | None = None


class Clone(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that a task fills; `bgtask_id` is that of the task."""

    id: str
    name: str
    host: str
    status: str
    bgtask_id: str


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """`inviter` and `invitee` are emails; `state` is pending, accepted, rejected or canceled."""

    id: str
    vfolder_id: str
    vfolder_name: str
    inviter: str
    invitee: str
    perm: str
    state: str
    created_at: str


class Holder(msgspec.Struct, frozen=True):
    """Who has a share."""

    uuid: str
    email: str


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one user may with a folder of somebody else, or of their project. `owner` is an email,
    or the name of a project where `type` is group."""

    vfolder_id: str
    vfolder_name: str
    status: str
    owner: str
    type: str
    shared_to: Holder
    perm: str


class Host(msgspec.Struct, frozen=True):
    """`usage` has `percentage`, None where it is not known."""

    backend: str = ""
    capabilities: tuple[str, ...] = ()
    usage: Mapping[str, Any] = {}


class Hosts(msgspec.Struct, frozen=True):
    """Where folders may be made: `allowed` hosts, `default` being taken where none is named."""

    default: str | None
    allowed: tuple[str, ...]
    volume_info: Mapping[str, Host] = {}


class FolderUsage(msgspec.Struct, frozen=True):
    file_count: int
    used_bytes: int


class Ticket(msgspec.Struct, frozen=True):
    """What lets its holder send, fetch or unpack one thing at the storage proxy's `url`."""

    token: str
    url: str


class Skipped(msgspec.Struct, frozen=True):
    """A member of an archive that was not unpacked."""

    name: str
    why: str


class Extracted(msgspec.Struct, frozen=True):
    """What came of unpacking; `skipped` tells of the first ones, `skipped_count` of all."""

    files: int
    directories: int
    bytes: int
    skipped_count: int = 0
    skipped: tuple[Skipped, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """A directory, and why it could not be made."""

    item: str
    msg: str | None = None
