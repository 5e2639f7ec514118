"""The one place that writes the status of kernels and sessions, in the caller's open transaction.

Sessions are locked in the order of their ids, after any agents: every transaction of the manager
takes locks in that order, so none waits for another in a circle.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterRole, SessionResult, SessionType
from backendai.common.faults import KernelNotFound, SessionNotFound, Stale
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelStatus, SessionStatus, session_status
from backendai.manager.db import tables as t

from .changes import enqueued, work_out
from .model import (
    Announcement,
    Changes,
    HistoryRow,
    KernelRow,
    Move,
    MovedKernel,
    NewKernel,
    NewSession,
    SessionRow,
)

NOTIFY_CHANNEL: Final = "backendai"

KERNEL_COLUMNS: Final = (
    t.kernels.c.id,
    t.kernels.c.session_id,
    t.kernels.c.revision,
    t.kernels.c.status,
    t.kernels.c.status_info,
    t.kernels.c.status_data,
    t.kernels.c.status_changed_at,
    t.kernels.c.deadline_at,
    t.kernels.c.cluster_role,
    t.kernels.c.cluster_index,
    t.kernels.c.generation,
    t.kernels.c.attempts,
    t.kernels.c.failed_agents,
    t.kernels.c.agent_id,
    t.kernels.c.container_id,
    t.kernels.c.service_ports,
    t.kernels.c.devices,
    t.kernels.c.requested_slots,
    t.kernels.c.exit_code,
    t.kernels.c.started_at,
    t.kernels.c.ended_at,
)
SESSION_COLUMNS: Final = (
    t.sessions.c.id,
    t.sessions.c.revision,
    t.sessions.c.name,
    t.sessions.c.type,
    t.sessions.c.access_key,
    t.sessions.c.cluster_size,
    t.sessions.c.status,
    t.sessions.c.status_info,
    t.sessions.c.status_changed_at,
    t.sessions.c.result,
    t.sessions.c.exit_code,
    t.sessions.c.started_at,
    t.sessions.c.ended_at,
)

# One statement writes everything, so a move costs one round trip after its rows are locked. The
# parts see the same snapshot, and none reads what another writes.
_WRITE: Final = sa.text("""
WITH freed AS (
  UPDATE allocations SET freed_at = :now
  FROM jsonb_to_recordset(CAST(:freed AS jsonb)) AS x(kernel_id uuid, generation bigint)
  WHERE allocations.kernel_id = x.kernel_id AND allocations.generation = x.generation
    AND allocations.freed_at IS NULL
), taken AS (
  INSERT INTO allocations (kernel_id, generation, slot, agent_id, amount, allocated_at)
  SELECT x.kernel_id, x.generation, x.slot, x.agent_id, x.amount, :now
  FROM jsonb_to_recordset(CAST(:taken AS jsonb)) AS x(
    kernel_id uuid, generation bigint, slot text, agent_id text, amount numeric)
), moved_kernels AS (
  UPDATE kernels SET revision = x.revision, status = x.status, status_info = x.status_info,
    status_data = x.status_data, status_changed_at = x.status_changed_at,
    deadline_at = x.deadline_at, generation = x.generation, attempts = x.attempts,
    failed_agents = x.failed_agents, agent_id = x.agent_id, container_id = x.container_id,
    service_ports = x.service_ports, devices = x.devices, exit_code = x.exit_code,
    started_at = x.started_at, ended_at = x.ended_at
  FROM jsonb_to_recordset(CAST(:kernels AS jsonb)) AS x(
    id uuid, was bigint, revision bigint, status text, status_info text, status_data jsonb,
    status_changed_at timestamptz, deadline_at timestamptz, generation bigint, attempts integer,
    failed_agents jsonb, agent_id text, container_id text, service_ports jsonb, devices jsonb,
    exit_code integer, started_at timestamptz, ended_at timestamptz)
  WHERE kernels.id = x.id AND kernels.revision = x.was
  RETURNING kernels.id
), moved_sessions AS (
  UPDATE sessions SET revision = x.revision, status = x.status, status_info = x.status_info,
    status_changed_at = x.status_changed_at, result = x.result, exit_code = x.exit_code,
    started_at = x.started_at, ended_at = x.ended_at
  FROM jsonb_to_recordset(CAST(:sessions AS jsonb)) AS x(
    id uuid, was bigint, revision bigint, status text, status_info text,
    status_changed_at timestamptz, result text, exit_code integer,
    started_at timestamptz, ended_at timestamptz)
  WHERE sessions.id = x.id AND sessions.revision = x.was
  RETURNING sessions.id
), told AS (
  INSERT INTO history (session_id, kernel_id, generation, from_status, to_status, event, reason,
    detail, at)
  SELECT session_id, kernel_id, generation, from_status, to_status, event, reason, detail, at
  FROM jsonb_to_recordset(CAST(:history AS jsonb)) AS x(
    session_id uuid, kernel_id uuid, generation bigint, from_status text, to_status text,
    event text, reason text, detail jsonb, at timestamptz, place bigint)
  ORDER BY place
), announced AS (
  INSERT INTO outbox (session_id, name, payload, created_at)
  SELECT session_id, name, payload, :now
  FROM jsonb_to_recordset(CAST(:outbox AS jsonb)) AS x(
    session_id uuid, name text, payload jsonb, place bigint)
  ORDER BY place
)
SELECT (SELECT count(*) FROM moved_kernels), (SELECT count(*) FROM moved_sessions),
  (SELECT count(pg_notify(:channel, hint)) FROM unnest(CAST(:hints AS text[])) AS hint)
""")
_NOTIFY: Final = sa.text(
    "SELECT pg_notify(:channel, hint) FROM unnest(CAST(:hints AS text[])) AS hint"
)


async def move_kernels(
    conn: AsyncConnection, moves: Sequence[Move], now: datetime
) -> list[MovedKernel]:
    """Move kernels and what follows for their siblings and sessions; all or nothing.

    Writes kernels, sessions, allocations, history and outbox rows, and notifies when the
    transaction commits. Raises Stale where a guard or the table refuses (roll back then), and
    KernelNotFound.
    """
    if not moves:
        return []
    locked = await lock_sessions(conn, [move.kernel_id for move in moves])
    return await write_moves(conn, locked, moves, now)


async def write_moves(
    conn: AsyncConnection,
    locked: Iterable[tuple[SessionRow, Sequence[KernelRow]]],
    moves: Sequence[Move],
    now: datetime,
) -> list[MovedKernel]:
    """As `move_kernels`, of sessions that this transaction has locked, with all their kernels."""
    rows = {session.id: (session, kernels) for session, kernels in locked}
    by_session = _group_by_session(rows.values(), moves)
    changes = [work_out(*rows[key], by_session[key], now) for key in sorted(by_session)]
    if changes:
        await _write(conn, changes, now)
    return [moved for change in changes for moved in change.moved]


async def insert_session(conn: AsyncConnection, new: NewSession, now: datetime) -> SessionRow:
    """Insert a session and its kernels, PENDING, with history and outbox rows."""
    session, kernels = first_rows(new, now)
    main, *others = [
        _kernel_values(made, row) for made, row in zip(new.kernels, kernels, strict=True)
    ]
    # The session and its main kernel in one round trip; nearly all sessions have no more.
    with_session = sa.insert(t.sessions).values(_session_values(new, session)).cte("session")
    await conn.execute(sa.insert(t.kernels).values(main).add_cte(with_session))
    if others:
        await conn.execute(sa.insert(t.kernels), others)
    if new.depends_on:
        await conn.execute(
            sa.insert(t.session_dependencies),
            [{"session_id": new.id, "depends_on": other} for other in new.depends_on],
        )
    await _write(conn, [enqueued(session, kernels, now)], now)
    return session


def first_rows(new: NewSession, now: datetime) -> tuple[SessionRow, tuple[KernelRow, ...]]:
    """The rows with which a new session begins."""
    kernels = tuple(_first_kernel(new, made, now) for made in new.kernels)
    session = SessionRow(
        id=new.id,
        revision=Revision(0),
        name=new.name,
        type=new.type,
        access_key=new.access_key,
        cluster_size=len(kernels),
        status=session_status([row.status for row in kernels]),
        status_changed_at=now,
    )
    return session, kernels


def _first_kernel(new: NewSession, made: NewKernel, now: datetime) -> KernelRow:
    return KernelRow(
        id=made.id,
        session_id=new.id,
        revision=Revision(0),
        status=KernelStatus.PENDING,
        status_changed_at=now,
        cluster_role=made.cluster_role,
        cluster_index=made.cluster_index,
        generation=Generation(0),
        requested_slots=dict(made.requested_slots),
    )


def _session_values(new: NewSession, row: SessionRow) -> dict[str, Any]:
    return {
        "id": new.id,
        "revision": row.revision,
        "name": new.name,
        "type": new.type.value,
        "tag": new.tag,
        "priority": new.priority,
        "domain_name": new.domain_name,
        "project_id": new.project_id,
        "user_id": new.user_id,
        "access_key": new.access_key,
        "created_by": new.created_by,
        "resource_group": new.resource_group,
        "cluster_mode": str(new.cluster_mode),
        "cluster_size": row.cluster_size,
        "status": row.status.value,
        "status_changed_at": row.status_changed_at,
        "startup_command": new.startup_command,
        "bootstrap_script": new.bootstrap_script,
        "callback_url": new.callback_url,
        "environ": dict(new.environ),
        "resource_opts": dict(new.resource_opts),
        "requested_slots": dict(new.requested_slots),
        "designated_agents": list(new.designated_agents),
        "preopen_ports": list(new.preopen_ports),
        "starts_at": new.starts_at,
        "created_at": row.status_changed_at,
    }


def _kernel_values(made: NewKernel, row: KernelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "revision": row.revision,
        "session_id": row.session_id,
        "cluster_role": row.cluster_role.value,
        "cluster_index": row.cluster_index,
        "cluster_hostname": made.cluster_hostname,
        "image": made.image,
        "image_id": made.image_id,
        "architecture": made.architecture,
        "requested_slots": dict(made.requested_slots),
        "shared_memory_bytes": made.shared_memory_bytes,
        "status": row.status.value,
        "status_changed_at": row.status_changed_at,
        "created_at": row.status_changed_at,
    }


async def load_session(
    conn: AsyncConnection, session_id: uuid.UUID, *, lock: bool = False
) -> tuple[SessionRow, list[KernelRow]]:
    """A session and its kernels, main first; locked until the transaction ends when asked to.

    Raises SessionNotFound.
    """
    statement = sa.select(*SESSION_COLUMNS).where(t.sessions.c.id == session_id)
    found = (await conn.execute(statement.with_for_update() if lock else statement)).first()
    if found is None:
        raise SessionNotFound(f"{session_id}")
    kernels = await load_kernels(conn, [session_id])
    return session_row(found._mapping), kernels[session_id]


def _group_by_session(
    rows: Iterable[tuple[SessionRow, Sequence[KernelRow]]], moves: Sequence[Move]
) -> dict[SessionId, list[Move]]:
    session_of = {kernel.id: session.id for session, kernels in rows for kernel in kernels}
    grouped: dict[SessionId, list[Move]] = defaultdict(list)
    for move in moves:
        if move.kernel_id not in session_of:
            raise KernelNotFound(f"{move.kernel_id}")
        grouped[session_of[move.kernel_id]].append(move)
    return grouped


async def lock_sessions(
    conn: AsyncConnection, kernel_ids: Sequence[uuid.UUID]
) -> list[tuple[SessionRow, list[KernelRow]]]:
    """Lock the sessions of kernels until the transaction ends; each with all of its kernels."""
    of_kernels = sa.select(t.kernels.c.session_id).where(t.kernels.c.id.in_(kernel_ids))
    found = await conn.execute(
        sa.select(*SESSION_COLUMNS)
        .where(t.sessions.c.id.in_(of_kernels))
        .order_by(t.sessions.c.id)
        .with_for_update()
    )
    sessions = [session_row(row._mapping) for row in found]
    kernels = await load_kernels(conn, [row.id for row in sessions])
    return [(row, kernels[row.id]) for row in sessions]


async def load_kernels(
    conn: AsyncConnection, session_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[KernelRow]]:
    """All kernels of each session, main first."""
    found = await conn.execute(
        sa.select(*KERNEL_COLUMNS).where(t.kernels.c.session_id.in_(session_ids))
    )
    grouped: dict[uuid.UUID, list[KernelRow]] = defaultdict(list)
    for row in found:
        grouped[row.session_id].append(kernel_row(row._mapping))
    return {key: sorted(rows, key=lambda row: row.rank) for key, rows in grouped.items()}


def session_row(row: Mapping[Any, Any]) -> SessionRow:
    return SessionRow(
        id=SessionId(row["id"]),
        revision=Revision(row["revision"]),
        name=row["name"],
        type=SessionType(row["type"]),
        access_key=row["access_key"],
        cluster_size=row["cluster_size"],
        status=SessionStatus(row["status"]),
        status_info=row["status_info"],
        status_changed_at=row["status_changed_at"],
        result=SessionResult(row["result"]),
        exit_code=row["exit_code"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def kernel_row(row: Mapping[Any, Any]) -> KernelRow:
    return KernelRow(
        id=KernelId(row["id"]),
        session_id=SessionId(row["session_id"]),
        revision=Revision(row["revision"]),
        status=KernelStatus(row["status"]),
        status_info=row["status_info"],
        status_data=row["status_data"],
        status_changed_at=row["status_changed_at"],
        deadline_at=row["deadline_at"],
        cluster_role=ClusterRole(row["cluster_role"]),
        cluster_index=row["cluster_index"],
        generation=Generation(row["generation"]),
        attempts=row["attempts"],
        failed_agents=tuple(row["failed_agents"]),
        agent_id=None if row["agent_id"] is None else AgentId(row["agent_id"]),
        container_id=row["container_id"],
        service_ports=tuple(row["service_ports"]),
        devices=row["devices"],
        requested_slots=row["requested_slots"],
        exit_code=row["exit_code"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


async def _write(conn: AsyncConnection, changes: Sequence[Changes], now: datetime) -> None:
    """Write all rows of `changes`. Raises Stale when a guard of a row does not hold."""
    kernels = [
        _kernel_update(before, after)
        for change in changes
        for before, after in zip(change.before, change.after, strict=True)
    ]
    sessions = [
        _session_update(change.session_before, change.session)
        for change in changes
        if change.session is not change.session_before
    ]
    freed = [
        {"kernel_id": str(kernel), "generation": generation}
        for change in changes
        for kernel, generation in change.freed
    ]
    values = {
        "now": now,
        "freed": json.dumps(freed),
        "taken": json.dumps(
            [row for change in changes for kernel in change.taken for row in _amounts(kernel)]
        ),
        "kernels": json.dumps(kernels),
        "sessions": json.dumps(sessions),
        "history": _in_order([_history_values(row) for one in changes for row in one.history]),
        "outbox": _in_order([_outbox_values(row) for one in changes for row in one.announcements]),
        "channel": NOTIFY_CHANNEL,
        "hints": sorted({hint for change in changes for hint in change.hints}),
    }
    counts = (await conn.execute(_WRITE, values)).one()
    if (counts[0], counts[1]) != (len(kernels), len(sessions)):
        raise Stale("rows of this session changed in the meantime")


def _in_order(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as JSON, each with its place, so that ids are given in this order."""
    return json.dumps([{**row, "place": place} for place, row in enumerate(rows)])


async def notify(conn: AsyncConnection, hints: Sequence[str]) -> None:
    """Tell every manager, when this transaction commits, where to look now."""
    await conn.execute(_NOTIFY, {"channel": NOTIFY_CHANNEL, "hints": list(hints)})


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _kernel_update(before: KernelRow, after: KernelRow) -> dict[str, Any]:
    return {
        "id": str(after.id),
        "was": before.revision,
        "revision": after.revision,
        "status": after.status.value,
        "status_info": after.status_info,
        "status_data": dict(after.status_data),
        "status_changed_at": _time(after.status_changed_at),
        "deadline_at": _time(after.deadline_at),
        "generation": after.generation,
        "attempts": after.attempts,
        "failed_agents": list(after.failed_agents),
        "agent_id": after.agent_id,
        "container_id": after.container_id,
        "service_ports": [dict(port) for port in after.service_ports],
        "devices": dict(after.devices),
        "exit_code": after.exit_code,
        "started_at": _time(after.started_at),
        "ended_at": _time(after.ended_at),
    }


def _session_update(before: SessionRow, after: SessionRow) -> dict[str, Any]:
    return {
        "id": str(after.id),
        "was": before.revision,
        "revision": after.revision,
        "status": after.status.value,
        "status_info": after.status_info,
        "status_changed_at": _time(after.status_changed_at),
        "result": after.result.value,
        "exit_code": after.exit_code,
        "started_at": _time(after.started_at),
        "ended_at": _time(after.ended_at),
    }


def _amounts(kernel: KernelRow) -> list[dict[str, Any]]:
    return [
        {
            "kernel_id": str(kernel.id),
            "generation": kernel.generation,
            "slot": slot,
            "agent_id": kernel.agent_id,
            "amount": amount,
        }
        for slot, amount in sorted(kernel.requested_slots.items())
    ]


def _history_values(row: HistoryRow) -> dict[str, Any]:
    return {
        "session_id": str(row.session_id),
        "kernel_id": None if row.kernel_id is None else str(row.kernel_id),
        "generation": row.generation,
        "from_status": row.from_status,
        "to_status": row.to_status,
        "event": row.event,
        "reason": row.reason,
        "detail": dict(row.detail),
        "at": _time(row.at),
    }


def _outbox_values(row: Announcement) -> dict[str, Any]:
    return {"session_id": str(row.session_id), "name": row.name, "payload": dict(row.payload)}
