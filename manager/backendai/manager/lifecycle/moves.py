"""The one place that writes the status of kernels and sessions, in the caller's open transaction.

Sessions are locked in the order of their ids, after any agents: every transaction of the manager
takes locks in that order, so none waits for another in a circle.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.faults import KernelNotFound, SessionNotFound, Stale
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelStatus, SessionStatus
from backendai.manager.db import tables as t

from .changes import work_out
from .model import (
    Announcement,
    Changes,
    HistoryRow,
    KernelRow,
    Move,
    MovedKernel,
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
    t.sessions.c.cluster_mode,
    t.sessions.c.status,
    t.sessions.c.status_info,
    t.sessions.c.status_changed_at,
    t.sessions.c.result,
    t.sessions.c.exit_code,
    t.sessions.c.started_at,
    t.sessions.c.ended_at,
)

KERNEL_PREFIX: Final = "kernel_"


def join_kernels(
    session_columns: Iterable[sa.ColumnElement[Any]], kernel_columns: Iterable[sa.Column[Any]]
) -> sa.Select[Any]:
    """Sessions, a row for each of their kernels, whose columns are prefixed."""
    prefixed = [column.label(KERNEL_PREFIX + column.name) for column in kernel_columns]
    return sa.select(*session_columns, *prefixed).join_from(
        t.sessions, t.kernels, t.kernels.c.session_id == t.sessions.c.id
    )


# Kernels are locked with their session: in one statement only what it locks is read as it is when
# the lock is had, the rest as it was when the statement began.
LOCKED_TOGETHER: Final = (t.sessions, t.kernels)
_IDS: Final = sa.bindparam("ids", type_=ARRAY(UUID(as_uuid=True)))
_ALL_SESSIONS: Final = join_kernels(
    (*SESSION_COLUMNS, t.sessions.c.project_id, t.sessions.c.domain_name), KERNEL_COLUMNS
).order_by(t.sessions.c.id)
_LOAD_SESSIONS: Final = _ALL_SESSIONS.where(t.sessions.c.id == sa.any_(_IDS))
_LOCK_SESSIONS: Final = _LOAD_SESSIONS.with_for_update(of=LOCKED_TOGETHER)
_OTHER: Final = t.kernels.alias("other")
_LOCK_SESSIONS_OF_KERNELS: Final = _ALL_SESSIONS.where(
    t.sessions.c.id.in_(sa.select(_OTHER.c.session_id).where(_OTHER.c.id == sa.any_(_IDS)))
).with_for_update(of=LOCKED_TOGETHER)

# The two parts of a statement that tell what happened: to `history`, and to who listens.
RECORD_SQL: Final = """told AS (
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
)"""

# One statement writes everything, so a move costs one round trip after its rows are locked. The
# parts see the same snapshot, and none reads what another writes.
_WRITE: Final = sa.text(f"""
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
), {RECORD_SQL}
SELECT (SELECT count(*) FROM moved_kernels), (SELECT count(*) FROM moved_sessions),
  (SELECT count(pg_notify(:channel, hint)) FROM unnest(CAST(:hints AS text[])) AS hint)
""")  # noqa: S608 - constants only
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


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session with all of its kernels, main first, and whose quotas it counts against."""

    session: SessionRow
    kernels: list[KernelRow]
    project_id: uuid.UUID
    domain_name: str


async def load_session(
    conn: AsyncConnection, session_id: uuid.UUID, *, lock: bool = False
) -> tuple[SessionRow, list[KernelRow]]:
    """A session and its kernels, main first; locked until the transaction ends when asked to.

    Raises SessionNotFound.
    """
    statement = _LOCK_SESSIONS if lock else _LOAD_SESSIONS
    found = _stored(await conn.execute(statement, {"ids": [session_id]}))
    if not found:
        raise SessionNotFound(f"{session_id}")
    return found[0].session, found[0].kernels


async def lock_sessions(
    conn: AsyncConnection, kernel_ids: Sequence[uuid.UUID]
) -> list[tuple[SessionRow, list[KernelRow]]]:
    """Lock the sessions of kernels until the transaction ends; each with all of its kernels."""
    found = await conn.execute(_LOCK_SESSIONS_OF_KERNELS, {"ids": list(kernel_ids)})
    return [(one.session, one.kernels) for one in _stored(found)]


async def lock_stored(
    conn: AsyncConnection, session_ids: Sequence[uuid.UUID]
) -> list[StoredSession]:
    """As `lock_sessions`, by the ids of the sessions."""
    return _stored(await conn.execute(_LOCK_SESSIONS, {"ids": list(session_ids)}))


def _stored(rows: Iterable[sa.Row[Any]]) -> list[StoredSession]:
    """From rows of sessions joined with their kernels."""
    by_session: dict[uuid.UUID, StoredSession] = {}
    for row in rows:
        values = row._mapping
        stored = by_session.get(row.id)
        if stored is None:
            stored = StoredSession(session_row(values), [], row.project_id, row.domain_name)
            by_session[row.id] = stored
        stored.kernels.append(kernel_row(of_kernel(values)))
    for stored in by_session.values():
        stored.kernels.sort(key=lambda kernel: kernel.rank)
    return list(by_session.values())


def of_kernel(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The columns of the kernel in a row that `join_kernels` made."""
    start = len(KERNEL_PREFIX)
    return {key[start:]: value for key, value in row.items() if key.startswith(KERNEL_PREFIX)}


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


def session_row(row: Mapping[Any, Any]) -> SessionRow:
    return SessionRow(
        id=SessionId(row["id"]),
        revision=Revision(row["revision"]),
        name=row["name"],
        type=SessionType(row["type"]),
        access_key=row["access_key"],
        cluster_size=row["cluster_size"],
        cluster_mode=ClusterMode(row["cluster_mode"]),
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
        "history": in_order([history_values(row) for one in changes for row in one.history]),
        "outbox": in_order([outbox_values(row) for one in changes for row in one.announcements]),
        "channel": NOTIFY_CHANNEL,
        "hints": sorted({hint for change in changes for hint in change.hints}),
    }
    counts = (await conn.execute(_WRITE, values)).one()
    if (counts[0], counts[1]) != (len(kernels), len(sessions)):
        raise Stale("rows of this session changed in the meantime")


def in_order(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as JSON, each with its place, so that ids are given in this order."""
    return json.dumps([{**row, "place": place} for place, row in enumerate(rows)])


async def notify(conn: AsyncConnection, hints: Sequence[str]) -> None:
    """Tell every manager, when this transaction commits, where to look now."""
    await conn.execute(_NOTIFY, {"channel": NOTIFY_CHANNEL, "hints": list(hints)})


def time_text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _kernel_update(before: KernelRow, after: KernelRow) -> dict[str, Any]:
    return {
        "id": str(after.id),
        "was": before.revision,
        "revision": after.revision,
        "status": after.status.value,
        "status_info": after.status_info,
        "status_data": dict(after.status_data),
        "status_changed_at": time_text(after.status_changed_at),
        "deadline_at": time_text(after.deadline_at),
        "generation": after.generation,
        "attempts": after.attempts,
        "failed_agents": list(after.failed_agents),
        "agent_id": after.agent_id,
        "container_id": after.container_id,
        "service_ports": [dict(port) for port in after.service_ports],
        "devices": dict(after.devices),
        "exit_code": after.exit_code,
        "started_at": time_text(after.started_at),
        "ended_at": time_text(after.ended_at),
    }


def _session_update(before: SessionRow, after: SessionRow) -> dict[str, Any]:
    return {
        "id": str(after.id),
        "was": before.revision,
        "revision": after.revision,
        "status": after.status.value,
        "status_info": after.status_info,
        "status_changed_at": time_text(after.status_changed_at),
        "result": after.result.value,
        "exit_code": after.exit_code,
        "started_at": time_text(after.started_at),
        "ended_at": time_text(after.ended_at),
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


def history_values(row: HistoryRow) -> dict[str, Any]:
    return {
        "session_id": str(row.session_id),
        "kernel_id": None if row.kernel_id is None else str(row.kernel_id),
        "generation": row.generation,
        "from_status": row.from_status,
        "to_status": row.to_status,
        "event": row.event,
        "reason": row.reason,
        "detail": dict(row.detail),
        "at": time_text(row.at),
    }


def outbox_values(row: Announcement) -> dict[str, Any]:
    return {"session_id": str(row.session_id), "name": row.name, "payload": dict(row.payload)}
