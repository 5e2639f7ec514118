"""What is known of accounts, and what may be said of them: frozen values and typed keywords.

Amounts are texts by slot. In `allowed_vfolder_hosts` each host has a list of what is allowed on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

import msgspec

from backendai.client.graph import write_row

Slots = Mapping[str, str | int | float]
Hosts = Mapping[str, Sequence[str]]

# How lists that have pages are narrowed and sorted, and their order when nothing is asked.
LIST_TYPES: Final = {"filter": "String", "order": "String"}
MADE_ORDER: Final = "created_at"
# Our words -> those of the wire.
_WIRE_NAMES: Final = {"domain": "domain_name", "project_ids": "group_ids"}


class Domain(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    is_active: bool = True
    total_resource_slots: dict[str, str] = {}
    allowed_vfolder_hosts: dict[str, list[str]] = {}
    allowed_docker_registries: tuple[str, ...] = ()
    resource_groups: tuple[str, ...] = msgspec.field(name="scaling_groups", default=())
    integration_id: str | None = None
    created_at: str | None = None
    modified_at: str | None = None


class Project(msgspec.Struct, frozen=True):
    """`name` is its own only within its domain."""

    id: str
    name: str
    domain: str = msgspec.field(name="domain_name")
    description: str | None = None
    is_active: bool = True
    resource_policy: str | None = None
    total_resource_slots: dict[str, str] = {}
    allowed_vfolder_hosts: dict[str, list[str]] = {}
    resource_groups: tuple[str, ...] = msgspec.field(name="scaling_groups", default=())
    integration_id: str | None = None
    created_at: str | None = None
    modified_at: str | None = None


class Member(msgspec.Struct, frozen=True):
    """Who is in a project; `role` is member or admin."""

    id: str
    email: str
    full_name: str | None = None
    role: str = "member"


class Membership(msgspec.Struct, frozen=True):
    """A project that a user is in, as `role`: member or admin."""

    id: str
    name: str
    role: str = "member"


class User(msgspec.Struct, frozen=True):
    """`role` is user, admin (of the domain), superadmin or monitor; `status` active, inactive,
    deleted or before-verification."""

    id: str
    email: str
    domain: str | None = msgspec.field(name="domain_name")
    username: str | None = None
    full_name: str | None = None
    description: str | None = None
    role: str = "user"
    status: str = "active"
    status_info: str | None = None
    resource_policy: str | None = None
    projects: tuple[Membership, ...] = msgspec.field(name="groups", default=())
    main_access_key: str | None = None
    need_password_change: bool | None = None
    sudo_session_enabled: bool | None = None
    allowed_client_ip: tuple[str, ...] | None = None
    created_at: str | None = None
    modified_at: str | None = None


class Keypair(msgspec.Struct, frozen=True):
    """Without the secret key, which is shown once, when a keypair is made. `rate_limit` is in
    requests per 15 minutes; `concurrency_used` counts sessions that are not over."""

    access_key: str
    email: str | None = msgspec.field(name="user_id")
    user_id: str | None = msgspec.field(name="user")
    is_active: bool = True
    is_admin: bool = False
    resource_policy: str | None = None
    rate_limit: int | None = None
    concurrency_used: int | None = None
    num_queries: int | None = None
    created_at: str | None = None
    last_used: str | None = None


class NewKeypair(msgspec.Struct, frozen=True):
    """The only time that the secret key is told."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"NewKeypair(access_key={self.access_key!r})"


class DomainProps(TypedDict, total=False):
    description: str
    is_active: bool
    total_resource_slots: Slots
    allowed_vfolder_hosts: Hosts
    allowed_docker_registries: Sequence[str]
    integration_id: str


class DomainChanges(DomainProps, total=False):
    """`name` is the new one, for everything in the domain too."""

    name: str


class ProjectProps(TypedDict, total=False):
    description: str
    is_active: bool
    resource_policy: str
    total_resource_slots: Slots
    allowed_vfolder_hosts: Hosts
    integration_id: str


class ProjectChanges(ProjectProps, total=False):
    """`domain` moves a project that has no members and no sessions."""

    name: str
    domain: str


class UserProps(TypedDict, total=False):
    """`project_ids` are all the projects, of the user's domain; another domain empties them."""

    username: str
    full_name: str
    description: str
    role: str
    status: str
    domain: str
    project_ids: Sequence[str]
    resource_policy: str
    need_password_change: bool
    sudo_session_enabled: bool
    allowed_client_ip: Sequence[str]


class UserChanges(UserProps, total=False):
    password: str
    main_access_key: str


class KeypairProps(TypedDict, total=False):
    is_active: bool
    is_admin: bool
    resource_policy: str
    rate_limit: int


def wire_props(props: Mapping[str, Any]) -> dict[str, Any]:
    """Properties under the names and in the forms of the wire. Pure."""
    return {_WIRE_NAMES.get(name, name): value for name, value in write_row(props).items()}
