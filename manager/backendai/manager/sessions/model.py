"""Sessions as values: what was asked for, and what is stored."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.lifecycle import SESSION_FINAL, KernelStatus, SessionStatus
from backendai.manager.lifecycle.model import NewKernel, NewSession

from .mounts import MountWish


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRequest:
    """Kernels of one kind in a session of several kinds; amounts are as the user wrote them."""

    role: ClusterRole
    replicas: int
    image: str
    architecture: str = "x86_64"
    resources: Mapping[str, object] = field(default_factory=dict)
    resource_opts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A request for a session, checked as far as it can be without looking anything up.

    `resources` and `resource_opts` are as the user wrote them; `starts_at` is aware. Without
    `roles` all of its kernels are alike.
    """

    name: str
    image: str
    architecture: str = "x86_64"
    type: SessionType = SessionType.INTERACTIVE
    project: str = "default"
    domain: str = "default"
    cluster_size: int = 1
    cluster_mode: ClusterMode = ClusterMode.SINGLE_NODE
    tag: str | None = None
    priority: int = 10
    enqueue_only: bool = False
    wait_seconds_max: int = 0
    starts_at: datetime | None = None
    reuse: bool = True
    startup_command: str | None = None
    bootstrap_script: str | None = None
    dependencies: tuple[str, ...] = ()
    callback_url: str | None = None
    owner_access_key: str | None = None
    mounts: tuple[MountWish, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, object] = field(default_factory=dict)
    resource_opts: Mapping[str, object] = field(default_factory=dict)
    resource_group: str | None = None
    preopen_ports: tuple[int, ...] = ()
    agents: tuple[str, ...] = ()
    roles: tuple[RoleRequest, ...] = ()

    def kinds(self) -> tuple[RoleRequest, ...]:
        """Its kernels by kind, the main one first."""
        if self.roles:
            return tuple(sorted(self.roles, key=lambda one: one.role is not ClusterRole.MAIN))
        counts = {ClusterRole.MAIN: 1, ClusterRole.SUB: self.cluster_size - 1}
        return tuple(
            RoleRequest(
                role=role,
                replicas=count,
                image=self.image,
                architecture=self.architecture,
                resources=self.resources,
                resource_opts=self.resource_opts,
            )
            for role, count in counts.items()
            if count
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One container of a session, as stored."""

    id: uuid.UUID
    session_id: uuid.UUID
    cluster_role: str
    cluster_index: int
    cluster_hostname: str
    image: str
    image_id: uuid.UUID | None
    architecture: str
    requested_slots: Mapping[str, str]
    shared_memory_bytes: int
    status: KernelStatus
    status_info: str
    status_data: Mapping[str, Any]
    status_changed_at: datetime
    generation: int
    agent_id: str | None
    container_id: str | None
    service_ports: list[dict[str, Any]]
    last_use: Mapping[str, Any]
    exit_code: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as stored, with its kernels, main kernel first."""

    id: uuid.UUID
    revision: int
    name: str
    type: SessionType
    tag: str | None
    priority: int
    domain_name: str
    project_id: uuid.UUID
    user_id: uuid.UUID
    access_key: str
    resource_group: str
    cluster_mode: ClusterMode
    cluster_size: int
    status: SessionStatus
    status_info: str
    status_changed_at: datetime
    waiting: Mapping[str, Any]
    result: SessionResult
    exit_code: int | None
    startup_command: str | None
    environ: Mapping[str, str]
    resource_opts: Mapping[str, Any]
    requested_slots: Mapping[str, str]
    starts_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    query_count: int
    created_at: datetime
    kernels: tuple[Kernel, ...] = ()

    @property
    def main(self) -> Kernel:
        return self.kernels[0]

    @property
    def is_live(self) -> bool:
        return self.status not in SESSION_FINAL


def session_of_new(new: NewSession, now: datetime) -> Session:
    """A session as it has just been stored. PURE."""
    return Session(
        id=new.id,
        revision=0,
        name=new.name,
        type=new.type,
        tag=new.tag,
        priority=new.priority,
        domain_name=new.domain_name,
        project_id=new.project_id,
        user_id=new.user_id,
        access_key=new.access_key,
        resource_group=new.resource_group,
        cluster_mode=ClusterMode(new.cluster_mode),
        cluster_size=len(new.kernels),
        status=SessionStatus.PENDING,
        status_info="",
        status_changed_at=now,
        waiting={},
        result=SessionResult.UNDEFINED,
        exit_code=None,
        startup_command=new.startup_command,
        environ=new.environ,
        resource_opts=new.resource_opts,
        requested_slots=new.requested_slots,
        starts_at=new.starts_at,
        started_at=None,
        ended_at=None,
        query_count=0,
        created_at=now,
        kernels=tuple(_kernel_of_new(new.id, kernel, now) for kernel in new.kernels),
    )


def _kernel_of_new(session_id: uuid.UUID, new: NewKernel, now: datetime) -> Kernel:
    return Kernel(
        id=new.id,
        session_id=session_id,
        cluster_role=new.cluster_role,
        cluster_index=new.cluster_index,
        cluster_hostname=new.cluster_hostname,
        image=new.image,
        image_id=new.image_id,
        architecture=new.architecture,
        requested_slots=new.requested_slots,
        shared_memory_bytes=new.shared_memory_bytes,
        status=KernelStatus.PENDING,
        status_info="",
        status_data={},
        status_changed_at=now,
        generation=0,
        agent_id=None,
        container_id=None,
        service_ports=[],
        last_use={},
        exit_code=None,
        created_at=now,
        started_at=None,
        ended_at=None,
    )
