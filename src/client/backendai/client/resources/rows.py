"""What is known of policies, presets, resource groups and nodes, and what may be said of them.

Amounts are texts by slot. In `allowed_vfolder_hosts` each host has a list of what is allowed on it.
"""

from typing import Any, Final, TypedDict

import msgspec

from backendai.client.accounts.rows import Hosts, Slots

# What a limit is that limits nothing, where zero is a limit.
NO_LIMIT: Final = -1


class KeypairPolicy(msgspec.Struct, frozen=True):
    """Limits of the sessions of a keypair. Times are in seconds, 0 is for ever; what is None does
    not limit what waits in the queue."""

    name: str
    default_for_unspecified: str = "UNLIMITED"
    total_resource_slots: dict[str, str] = {}
    max_session_lifetime: int = 0
    max_concurrent_sessions: int = 0
    max_pending_session_count: int | None = None
    max_pending_session_resource_slots: dict[str, str] | None = None
    max_concurrent_sftp_sessions: int = 1
    max_containers_per_session: int = 1
    idle_timeout: int = 0
    allowed_vfolder_hosts: dict[str, list[str]] = {}
    created_at: str | None = None


class UserPolicy(msgspec.Struct, frozen=True):
    """Limits of the folders of a user: `max_quota_scope_size` in bytes, -1 for none."""

    name: str
    max_vfolder_count: int = 0
    max_quota_scope_size: int = NO_LIMIT
    max_session_count_per_model_session: int = 0
    created_at: str | None = None


class ProjectPolicy(msgspec.Struct, frozen=True):
    """Limits of the folders of a project: `max_quota_scope_size` in bytes, -1 for none."""

    name: str
    max_vfolder_count: int = 0
    max_quota_scope_size: int = NO_LIMIT
    created_at: str | None = None


class Preset(msgspec.Struct, frozen=True):
    """`shared_memory` is in bytes, a part of `mem`; None leaves it to the image."""

    name: str
    resource_slots: dict[str, str] = {}
    shared_memory: int | None = None


class ResourceGroup(msgspec.Struct, frozen=True):
    """Nodes, and how sessions are placed on them. What is not public is for administrators alone.

    `scheduler_opts` may have `placement`, `pending_timeout_seconds` and `allowed_session_types`.
    """

    name: str
    description: str | None = None
    is_active: bool = True
    is_public: bool = True
    scheduler: str = "fifo"
    scheduler_opts: dict[str, Any] = {}
    driver: str = "static"
    driver_opts: dict[str, Any] = {}
    wsproxy_addr: str | None = None
    created_at: str | None = None


class Agent(msgspec.Struct, frozen=True):
    """A node. `cpu_cur_pct` is of all its cores together; `container_count` is of those that hold
    room on it. Times are ISO 8601."""

    id: str
    status: str
    resource_group: str = msgspec.field(name="scaling_group")
    schedulable: bool
    available_slots: dict[str, str] = {}
    occupied_slots: dict[str, str] = {}
    container_count: int = 0
    cpu_cur_pct: float = 0.0
    mem_cur_bytes: float = 0.0
    addr: str = ""
    architecture: str = ""
    region: str | None = None
    version: str = ""
    status_changed: str | None = None
    first_contact: str | None = None
    lost_at: str | None = None
    hardware_metadata: dict[str, Any] = {}
    local_config: dict[str, Any] = {}


class KeypairPolicyProps(TypedDict, total=False):
    """`default_for_unspecified` is LIMITED or UNLIMITED; -1 and {} let everything wait."""

    default_for_unspecified: str
    total_resource_slots: Slots
    max_session_lifetime: int
    max_concurrent_sessions: int
    max_pending_session_count: int
    max_pending_session_resource_slots: Slots
    max_concurrent_sftp_sessions: int
    max_containers_per_session: int
    idle_timeout: int
    allowed_vfolder_hosts: Hosts


class ProjectPolicyProps(TypedDict, total=False):
    max_vfolder_count: int
    max_quota_scope_size: int


class UserPolicyProps(ProjectPolicyProps, total=False):
    max_session_count_per_model_session: int


class PresetProps(TypedDict, total=False):
    """`shared_memory` in bytes or as a text such as 64m; 0 leaves it to the image."""

    resource_slots: Slots
    shared_memory: int | str


class ResourceGroupProps(TypedDict, total=False):
    """Options are replaced as a whole. An empty address: there is no app proxy."""

    description: str
    is_active: bool
    is_public: bool
    scheduler: str
    scheduler_opts: dict[str, Any]
    driver: str
    driver_opts: dict[str, Any]
    wsproxy_addr: str
    wsproxy_api_token: str
