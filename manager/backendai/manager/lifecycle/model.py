"""The values that lifecycle code passes around: rows as read, moves as asked for.

Nothing here decides or does IO. Amounts of slots are exact texts, as the database and the wire have
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelEvent, KernelStatus, SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRow:
    """A kernel as its moves need it."""

    id: KernelId
    session_id: SessionId
    revision: Revision
    status: KernelStatus
    status_info: str = ""
    status_data: Mapping[str, Any] = field(default_factory=dict)
    status_changed_at: datetime
    deadline_at: datetime | None = None
    cluster_role: ClusterRole
    cluster_index: int
    generation: Generation
    attempts: int = 0
    failed_agents: tuple[str, ...] = ()
    agent_id: AgentId | None = None
    container_id: str | None = None
    service_ports: tuple[Mapping[str, Any], ...] = ()
    devices: Mapping[str, Any] = field(default_factory=dict)
    requested_slots: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def rank(self) -> tuple[bool, int]:
        """The place among its siblings: the main kernel comes first."""
        return (self.cluster_role is not ClusterRole.MAIN, self.cluster_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session as the moves of its kernels need it."""

    id: SessionId
    revision: Revision
    name: str
    type: SessionType
    access_key: str
    cluster_size: int
    status: SessionStatus
    cluster_mode: ClusterMode = ClusterMode.SINGLE_NODE
    status_info: str = ""
    status_changed_at: datetime
    result: SessionResult = SessionResult.UNDEFINED
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


def is_spread(session: SessionRow) -> bool:
    """Whether its kernels may be on several nodes, and need a network of the swarm."""
    return session.cluster_size > 1 and session.cluster_mode is ClusterMode.MULTI_NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One event of one kernel.

    `expected_revision` and `generation` are guards where they are given: the move is refused as
    Stale when the kernel is at another one. PLACE needs `agent_id`. `seen_generation` is the one
    that its node has, where that is newer than the row's; the row takes it.
    """

    kernel_id: KernelId
    event: KernelEvent
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    expected_revision: Revision | None = None
    generation: Generation | None = None
    seen_generation: Generation | None = None
    agent_id: AgentId | None = None
    container_id: str | None = None
    service_ports: tuple[Mapping[str, Any], ...] | None = None
    devices: Mapping[str, Any] | None = None
    exit_code: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MovedKernel:
    """What a move did: the kernel before and after, and its session's status after."""

    before: KernelRow
    after: KernelRow
    event: KernelEvent
    session_status: SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKernel:
    """One kernel of a session to be. `requested_slots` names every slot it shall hold, exactly."""

    id: KernelId
    cluster_role: ClusterRole
    cluster_index: int
    cluster_hostname: str
    image: str
    architecture: str
    requested_slots: Mapping[str, str]
    shared_memory_bytes: int
    image_id: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMount:
    """A folder of a session to be: a row of session_mounts, but for its place among the others."""

    vfolder_id: Any
    name: str
    host: str
    volume_path: str
    volume_id: str
    host_path: str
    kernel_path: str
    permission: str
    subpath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session to be, with its kernels, the main one first."""

    id: SessionId
    name: str
    type: SessionType
    domain_name: str
    project_id: Any
    user_id: Any
    access_key: str
    created_by: Any
    resource_group: str
    cluster_mode: str
    kernels: tuple[NewKernel, ...]
    requested_slots: Mapping[str, str]
    tag: str | None = None
    priority: int = 10
    startup_command: str | None = None
    bootstrap_script: str | None = None
    callback_url: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    resource_opts: Mapping[str, Any] = field(default_factory=dict)
    designated_agents: tuple[str, ...] = ()
    preopen_ports: tuple[int, ...] = ()
    starts_at: datetime | None = None
    depends_on: tuple[SessionId, ...] = ()
    mounts: tuple[NewMount, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A client's word for a request, stored with what the request made."""

    user_id: Any
    token: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One line of a session's history; `kernel_id` is None where the session itself moved."""

    session_id: SessionId
    kernel_id: KernelId | None
    generation: int | None
    from_status: str | None
    to_status: str
    event: str
    reason: str
    detail: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Announcement:
    """One row of the outbox: an event of the public API and its data."""

    session_id: SessionId
    name: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one call of the mover writes for one session, in one transaction.

    `freed` are (kernel, generation) pairs whose live allocations end; `taken` are kernels whose
    slots are allocated on their agent under their generation.
    """

    session_before: SessionRow
    session: SessionRow
    moved: tuple[MovedKernel, ...]
    before: tuple[KernelRow, ...]
    after: tuple[KernelRow, ...]
    freed: tuple[tuple[KernelId, Generation], ...]
    taken: tuple[KernelRow, ...]
    history: tuple[HistoryRow, ...]
    announcements: tuple[Announcement, ...]
    hints: tuple[str, ...]
