"""Containers in GraphQL: alone, of a page of sessions, of nodes, or a list of one session's."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterRole
from backendai.common.lifecycle import FINAL, KernelStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor, widest_scope
from backendai.manager.sessions import render
from backendai.manager.sessions.model import Kernel
from backendai.manager.sessions.store import KERNELS, kernel_of, scope_conditions

from . import pages
from .columns import integer, text, time, word_of
from .minilang import Column, Condition, Join
from .pages import Listing, Row, Wanted
from .selection import Info, selected
from .texts import json_text, read_id

# Of all nodes that one request shows.
OF_AGENTS_MAX: Final = 1000

_k, _s, _a, _h = t.kernels, t.sessions, t.agents, t.history
_SCHEDULED_AT: Final = (
    sa.select(sa.func.max(_h.c.at))
    .where(
        _h.c.session_id == _k.c.session_id,
        _h.c.kernel_id == _k.c.id,
        _h.c.to_status == KernelStatus.SCHEDULED.value,
    )
    .correlate(_k)
    .scalar_subquery()
)
_LOCAL_RANK: Final = sa.case((_k.c.cluster_role == "main", 0), else_=_k.c.cluster_index)
_IS_SUB: Final = _k.c.cluster_role != ClusterRole.MAIN.value
_MAIN_FIRST: Final = (_IS_SUB, _k.c.cluster_index)
_NODE: Final = Join(_a, _a.c.id == _k.c.agent_id, optional=True)
_BESIDE: Final = (_a.c.address.label("agent_addr"), _SCHEDULED_AT.label("scheduled_at"))
_WITH_NODE: Final = _k.outerjoin(_a, _NODE.on)
# Of the session, what its containers show too.
_OF_SESSION: Final = tuple(
    _s.c[name].label(f"session_{name}") for name in ("starts_at", "resource_opts", "preopen_ports")
)
_OF_AGENTS: Final[Mapping[str, Column]] = {
    "agent": Column(_k.c.agent_id, text),
    "agent_addr": Column(_a.c.address, text, joins=(_NODE,)),
}
_COLUMNS: Final[Mapping[str, Column]] = {
    "architecture": Column(_k.c.architecture, text),
    "cluster_hostname": Column(_k.c.cluster_hostname, text),
    "cluster_idx": Column(_k.c.cluster_index, integer),
    "cluster_role": Column(_k.c.cluster_role, word_of(ClusterRole)),
    "created_at": Column(_k.c.created_at, time),
    "image": Column(_k.c.image, text),
    "local_rank": Column(_LOCAL_RANK, integer),
    "scheduled_at": Column(_SCHEDULED_AT, time),
    "status": Column(_k.c.status, word_of(KernelStatus)),
    "status_changed": Column(_k.c.status_changed_at, time),
    "status_info": Column(_k.c.status_info, text),
    "terminated_at": Column(_k.c.ended_at, time),
}
_JOINED: Final = _WITH_NODE.join(_s, _s.c.id == _k.c.session_id)
KERNELS_ANYWHERE: Final = Listing(_k, _k.c.id, _JOINED, _COLUMNS, _MAIN_FIRST)
KERNELS_ON_AGENTS: Final = Listing(_k, _k.c.id, _JOINED, {**_COLUMNS, **_OF_AGENTS}, _MAIN_FIRST)


@dataclass(slots=True)
class KernelView:
    """A kernel with what was loaded beside it. `session` has those columns that it shows."""

    kernel: Kernel
    agent_addr: str | None = None
    scheduled_at: datetime | None = None
    session: Mapping[Any, Any] = field(default_factory=dict)


async def load_page(
    connection: AsyncConnection,
    actor: Actor,
    info: Info,
    args: Mapping[str, Any],
    *,
    shows_agents: bool,
) -> dict[str, Any]:
    """`compute_container_list`: of one session; nothing of sessions that are others'."""
    wanted = Wanted.read(args, selected(info))
    where = [_k.c.session_id == _select_session(actor, read_id(args["session_id"]))]
    if args.get("role"):
        where.append(_k.c.cluster_role == str(args["role"]).lower())
    listing = KERNELS_ON_AGENTS if shows_agents else KERNELS_ANYWHERE
    shown = (*KERNELS, *_BESIDE, *_OF_SESSION)
    page = await pages.load_page(connection, listing, wanted, where, shown)
    return {"items": [_view(row) for row in page.rows], "total_count": page.total}


async def load_one(
    connection: AsyncConnection, actor: Actor, kernel_id: uuid.UUID
) -> KernelView | None:
    """`compute_container`; None for those of others."""
    where = [_k.c.id == kernel_id, *scope_conditions(widest_scope(actor))]
    found = await connection.execute(_select(*where))
    row = found.mappings().first()
    return None if row is None else _view(row)


async def load_of_sessions(
    connection: AsyncConnection, session_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[KernelView]]:
    """The kernels of each session, main kernel first, in one query."""
    statement = (
        sa.select(*KERNELS, *_BESIDE)
        .select_from(_WITH_NODE)
        .where(_k.c.session_id.in_(session_ids))
        .order_by(*_MAIN_FIRST)
    )
    grouped: dict[uuid.UUID, list[KernelView]] = {}
    for row in (await connection.execute(statement)).mappings():
        view = KernelView(kernel_of(row), row["agent_addr"], row["scheduled_at"])
        grouped.setdefault(row["session_id"], []).append(view)
    return grouped


async def load_of_agents(
    connection: AsyncConnection, agent_ids: Sequence[str], statuses: Sequence[str | None]
) -> dict[str, list[KernelView]]:
    """The newest kernels of each node that have one of `statuses`; None: all that did not end."""
    wanted = [_of_status(text) for text in statuses]
    statement = _select(_k.c.agent_id.in_(agent_ids), sa.or_(*wanted))
    rows = await connection.execute(
        statement.order_by(_k.c.created_at.desc(), _k.c.id).limit(OF_AGENTS_MAX)
    )
    grouped: dict[str, list[KernelView]] = {}
    for row in rows.mappings():
        grouped.setdefault(row["agent_id"], []).append(_view(row))
    return grouped


def narrow(views: Sequence[KernelView], status: str | None) -> list[KernelView]:
    """Of kernels of a node, those that `compute_containers(status)` means."""
    if not status:
        return [view for view in views if view.kernel.status not in FINAL]
    return [view for view in views if view.kernel.status.value == status.upper()]


def _of_status(status: str | None) -> Condition:
    if status:
        return _k.c.status == status.upper()
    return _k.c.status.not_in(sorted(word.value for word in FINAL))


def _select(*where: Condition) -> sa.Select[Any]:
    return sa.select(*KERNELS, *_BESIDE, *_OF_SESSION).select_from(_JOINED).where(*where)


def _select_session(actor: Actor, session_id: uuid.UUID) -> sa.ScalarSelect[uuid.UUID]:
    """The id, where the actor may see it."""
    where = [_s.c.id == session_id, *scope_conditions(widest_scope(actor))]
    return sa.select(_s.c.id).where(*where).scalar_subquery()


def _view(row: Row) -> KernelView:
    session = {column.name.removeprefix("session_"): row[column.name] for column in _OF_SESSION}
    return KernelView(kernel_of(row), row["agent_addr"], row["scheduled_at"], session)


def _stat(kernel: Kernel, *, live: bool) -> str | None:
    """Usage as JSON text: of a running kernel as live, of an ended one as last."""
    is_live = kernel.status not in (KernelStatus.TERMINATED, KernelStatus.CANCELLED)
    measured = render.metrics(kernel.last_use, kernel.requested_slots)
    measured.pop("version", None)
    return json_text(measured) if measured and is_live is live else None


CONTAINER_FIELDS: Final[Mapping[str, Callable[[KernelView], Any]]] = {
    "id": lambda v: str(v.kernel.id),
    "idx": lambda v: v.kernel.cluster_index,
    "role": lambda v: v.kernel.cluster_role,
    "hostname": lambda v: v.kernel.cluster_hostname,
    "cluster_idx": lambda v: v.kernel.cluster_index,
    "local_rank": lambda v: 0 if v.kernel.cluster_role == "main" else v.kernel.cluster_index,
    "cluster_role": lambda v: v.kernel.cluster_role,
    "cluster_hostname": lambda v: v.kernel.cluster_hostname,
    "session_id": lambda v: str(v.kernel.session_id),
    "image": lambda v: v.kernel.image,
    "architecture": lambda v: v.kernel.architecture,
    "registry": lambda v: render.registry_of(v.kernel.image),
    "status": lambda v: v.kernel.status.value,
    "status_changed": lambda v: render.iso(v.kernel.status_changed_at),
    "status_info": lambda v: v.kernel.status_info or None,
    "status_data": lambda v: json_text(v.kernel.status_data),
    "created_at": lambda v: render.iso(v.kernel.created_at),
    "terminated_at": lambda v: render.iso(v.kernel.ended_at),
    "starts_at": lambda v: render.iso(v.session.get("starts_at")),
    "scheduled_at": lambda v: render.iso(v.scheduled_at),
    "abusing_report": lambda v: None,
    "agent": lambda v: v.kernel.agent_id,
    "agent_addr": lambda v: v.agent_addr,
    "container_id": lambda v: v.kernel.container_id,
    "resource_opts": lambda v: json_text(v.session.get("resource_opts") or {}),
    "occupied_slots": lambda v: json_text(render.occupied_slots([v.kernel])),
    "live_stat": lambda v: _stat(v.kernel, live=True),
    "last_stat": lambda v: _stat(v.kernel, live=False),
    "preopen_ports": lambda v: [int(port) for port in v.session.get("preopen_ports") or ()],
}
