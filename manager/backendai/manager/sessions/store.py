"""Reads sessions and their kernels, always within a Scope; who moves them is in `lifecycle`."""

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.faults import SessionNotFound
from backendai.common.ids import SessionId
from backendai.common.lifecycle import SESSION_FINAL, KernelStatus, SessionStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope
from backendai.manager.lifecycle.model import KernelRow, SessionRow
from backendai.manager.lifecycle.moves import (
    KERNEL_COLUMNS,
    LOCKED_TOGETHER,
    SESSION_COLUMNS,
    join_kernels,
    kernel_row,
    of_kernel,
    session_row,
)

from .model import Kernel, Session

FINAL_WORDS: Final = sorted(status.value for status in SESSION_FINAL)
_SESSION_FIELDS: Final = (
    "id",
    "revision",
    "name",
    "type",
    "tag",
    "priority",
    "domain_name",
    "project_id",
    "user_id",
    "access_key",
    "resource_group",
    "cluster_mode",
    "cluster_size",
    "status",
    "status_info",
    "status_changed_at",
    "waiting",
    "result",
    "exit_code",
    "startup_command",
    "environ",
    "resource_opts",
    "requested_slots",
    "starts_at",
    "started_at",
    "ended_at",
    "query_count",
    "created_at",
)
_KERNEL_FIELDS: Final = (
    "id",
    "session_id",
    "cluster_role",
    "cluster_index",
    "cluster_hostname",
    "image",
    "image_id",
    "architecture",
    "requested_slots",
    "shared_memory_bytes",
    "status",
    "status_info",
    "status_data",
    "status_changed_at",
    "generation",
    "agent_id",
    "container_id",
    "service_ports",
    "last_use",
    "exit_code",
    "created_at",
    "started_at",
    "ended_at",
)
STATEMENTS_KEPT: Final = 512
_SESSIONS: Final = [t.sessions.c[name] for name in _SESSION_FIELDS]
KERNELS: Final = [t.kernels.c[name] for name in _KERNEL_FIELDS]
_MAIN_FIRST: Final = (t.kernels.c.cluster_role != ClusterRole.MAIN.value, t.kernels.c.cluster_index)
_WITH_KERNELS: Final = join_kernels(_SESSIONS, KERNELS).order_by(*_MAIN_FIRST)
# With what a move needs to know besides.
_TO_MOVE: Final = join_kernels(
    {column.name: column for column in (*_SESSIONS, *SESSION_COLUMNS)}.values(),
    {column.name: column for column in (*KERNELS, *KERNEL_COLUMNS)}.values(),
).order_by(*_MAIN_FIRST)
# Made once: an alias makes a copy of each column, which cost most of a short request.
_MEANT: Final = t.sessions.alias("meant")
_MAIN: Final = join_kernels(
    [t.sessions.c.id, t.sessions.c.status],
    [t.kernels.c[name] for name in ("id", "status", "generation", "agent_id")],
).where(t.kernels.c.cluster_role == ClusterRole.MAIN.value)


@dataclass(frozen=True, slots=True)
class Locked:
    """A session that this transaction has locked, also as its moves need it."""

    session: Session
    row: SessionRow
    kernels: list[KernelRow]


async def get_session(
    connection: AsyncConnection, scope: Scope, reference: str, *, ended_too: bool = False
) -> Session:
    """The session that `reference` (id or name) means, with its kernels.

    An id wins over a name; a live session over ended ones, of those the newest. Raises
    SessionNotFound, the same for sessions of others.
    """
    statement = _whole(scope, reference, ended_too)
    rows = (await connection.execute(statement)).mappings().all()
    if not rows:
        raise SessionNotFound
    return _joined(rows)


async def lock_session(
    connection: AsyncConnection, scope: Scope, reference: str, *, ended_too: bool = False
) -> Locked:
    """As `get_session`, locked with its kernels until the transaction ends.

    It may be final in any case: it ended while the lock was waited for.
    """
    meant = t.sessions.c.id == select_meant(scope, reference, ended_too=ended_too)
    statement = _TO_MOVE.where(meant).with_for_update(of=LOCKED_TOGETHER)
    rows = (await connection.execute(statement)).mappings().all()
    if not rows:
        raise SessionNotFound
    kernels = [kernel_row(of_kernel(row)) for row in rows]
    return Locked(_joined(rows), session_row(rows[0]), kernels)


async def find_live(connection: AsyncConnection, access_key: str, name: str) -> Session | None:
    try:
        return await get_session(connection, Scope(access_key=access_key), name)
    except SessionNotFound:
        return None


async def find_main(connection: AsyncConnection, scope: Scope, reference: str) -> Row[Any] | None:
    """Of the live session that `reference` means: id and status, and of its main kernel
    `kernel_id`, `kernel_status`, `kernel_generation` and `kernel_agent_id`."""
    found: Row[Any] | None = (await connection.execute(_main(scope, reference))).first()
    return found


async def find_session_of(
    connection: AsyncConnection, scope: Scope, kernel_id: uuid.UUID
) -> uuid.UUID | None:
    """The session that a kernel belongs to."""
    found: uuid.UUID | None = await connection.scalar(
        sa.select(t.sessions.c.id)
        .join(t.kernels, t.kernels.c.session_id == t.sessions.c.id)
        .where(t.kernels.c.id == kernel_id, *scope_conditions(scope))
    )
    return found


async def list_dependents(
    connection: AsyncConnection, scope: Scope, session_id: uuid.UUID
) -> list[uuid.UUID]:
    """Live sessions that directly or indirectly depend on this one, nearest first."""
    edges = t.session_dependencies
    tree = sa.select(edges.c.session_id, sa.literal(1).label("depth")).where(
        edges.c.depends_on == session_id
    )
    walk = tree.cte("dependents", recursive=True)
    further = sa.select(edges.c.session_id, walk.c.depth + 1).where(
        edges.c.depends_on == walk.c.session_id, walk.c.depth < 64
    )
    walk = walk.union(further)
    found = await connection.execute(
        sa.select(walk.c.session_id, sa.func.min(walk.c.depth).label("depth"))
        .join(t.sessions, t.sessions.c.id == walk.c.session_id)
        .where(t.sessions.c.status.not_in(FINAL_WORDS), *scope_conditions(scope))
        .group_by(walk.c.session_id)
        .order_by("depth", walk.c.session_id)
    )
    return [row.session_id for row in found]


async def load_dependencies(
    connection: AsyncConnection, scope: Scope, session_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[Mapping[Any, Any]]]:
    """What each session depends on: rows of id, name, status and status_changed_at."""
    edges, other = t.session_dependencies, t.sessions
    found = await connection.execute(
        sa.select(
            edges.c.session_id, other.c.id, other.c.name, other.c.status, other.c.status_changed_at
        )
        .join(other, other.c.id == edges.c.depends_on)
        .where(edges.c.session_id.in_(session_ids), *scope_conditions(scope, other))
        .order_by(other.c.created_at)
    )
    grouped: dict[uuid.UUID, list[Mapping[Any, Any]]] = {}
    for row in found.mappings():
        grouped.setdefault(row["session_id"], []).append(row)
    return grouped


async def resolve_dependencies(
    connection: AsyncConnection, access_key: str, references: Sequence[str]
) -> tuple[SessionId, ...]:
    """Ids of the owner's sessions that are named. Raises SessionNotFound naming the first missing.

    A new session depends only on older ones, so there is never a cycle.
    """
    resolved: list[SessionId] = []
    for reference in references:
        try:
            session = await get_session(
                connection, Scope(access_key=access_key), reference, ended_too=True
            )
        except SessionNotFound:
            raise SessionNotFound(f"the dependency {reference!r} does not exist") from None
        resolved.append(SessionId(session.id))
    return tuple(dict.fromkeys(resolved))


async def load_history(
    connection: AsyncConnection, session_id: uuid.UUID
) -> list[Mapping[Any, Any]]:
    found = await connection.execute(
        sa.select(t.history).where(t.history.c.session_id == session_id).order_by(t.history.c.id)
    )
    return list(found.mappings().all())


async def match_prefix(
    connection: AsyncConnection, scope: Scope, prefix: str, limit: int
) -> list[Mapping[Any, Any]]:
    """Live sessions whose id begins with `prefix`."""
    sessions = t.sessions
    found = await connection.execute(
        sa.select(sessions.c.id, sessions.c.name, sessions.c.status)
        .where(
            sa.cast(sessions.c.id, sa.Text).startswith(prefix, autoescape=True),
            sessions.c.status.not_in(FINAL_WORDS),
            *scope_conditions(scope),
        )
        .order_by(sessions.c.created_at.desc())
        .limit(limit)
    )
    return list(found.mappings().all())


async def rename(connection: AsyncConnection, session_id: uuid.UUID, name: str) -> None:
    """Raises IntegrityError when another live session of the key has the name."""
    await connection.execute(
        sa.update(t.sessions).where(t.sessions.c.id == session_id).values(name=name)
    )


async def prefer(connection: AsyncConnection, session_id: uuid.UUID, priority: int) -> bool:
    """Give a session that waits another priority; False when it does not wait any more."""
    waits = t.sessions.c.status.in_((SessionStatus.PENDING.value,))
    done = await connection.execute(
        sa.update(t.sessions)
        .where(t.sessions.c.id == session_id, waits)
        .values(priority=priority)
        .returning(t.sessions.c.id)
    )
    return done.first() is not None


def scope_conditions(
    scope: Scope, sessions: sa.FromClause = t.sessions
) -> list[sa.ColumnElement[bool]]:
    """The WHERE that keeps tenants apart."""
    conditions: list[sa.ColumnElement[bool]] = []
    if scope.user_id is not None:
        own = sessions.c.user_id == scope.user_id
        administered = sessions.c.project_id.in_(sorted(scope.projects))
        conditions.append(sa.or_(own, administered) if scope.projects else own)
    if scope.access_key is not None:
        conditions.append(sessions.c.access_key == scope.access_key)
    if scope.domain is not None:
        conditions.append(sessions.c.domain_name == scope.domain)
    return conditions


def select_meant(
    scope: Scope, reference: str, *, ended_too: bool = False
) -> sa.ScalarSelect[uuid.UUID]:
    """The id of the session that `reference` means within `scope`, as `get_session` tells."""
    sessions = _MEANT
    meant = [sessions.c.name == reference]
    by_id: sa.ColumnElement[bool] = sa.false()
    with contextlib.suppress(ValueError):
        by_id = sessions.c.id == uuid.UUID(reference)
        meant.append(by_id)
    live = sessions.c.status.not_in(FINAL_WORDS)
    conditions = [sa.or_(*meant), *scope_conditions(scope, sessions)]
    if not ended_too:
        conditions.append(live)
    order = [
        sa.case((by_id, 0), else_=1),
        sa.case((live, 0), else_=1),
        sessions.c.created_at.desc(),
    ]
    return sa.select(sessions.c.id).where(*conditions).order_by(*order).limit(1).scalar_subquery()


# Whoever works with a session asks for it again and again; to make the statement anew each time
# costs more than to execute it.
@lru_cache(maxsize=STATEMENTS_KEPT)
def _whole(scope: Scope, reference: str, ended_too: bool) -> sa.Select[Any]:
    meant = select_meant(scope, reference, ended_too=ended_too)
    return _WITH_KERNELS.where(t.sessions.c.id == meant)


@lru_cache(maxsize=STATEMENTS_KEPT)
def _main(scope: Scope, reference: str) -> sa.Select[Any]:
    return _MAIN.where(t.sessions.c.id == select_meant(scope, reference))


def _joined(rows: Sequence[Mapping[Any, Any]]) -> Session:
    """From the rows of one session, one for each kernel, the main one first."""
    return session_of(rows[0], [kernel_of(of_kernel(row)) for row in rows])


def session_of(row: Mapping[Any, Any], kernels: Sequence[Kernel]) -> Session:
    fields = {name: row[name] for name in _SESSION_FIELDS}
    return Session(
        **fields
        | {
            "type": SessionType(row["type"]),
            "status": SessionStatus(row["status"]),
            "result": SessionResult(row["result"]),
            "cluster_mode": ClusterMode(row["cluster_mode"]),
        },
        kernels=tuple(kernels),
    )


def kernel_of(row: Mapping[Any, Any]) -> Kernel:
    fields = {name: row[name] for name in _KERNEL_FIELDS}
    return Kernel(**fields | {"status": KernelStatus(row["status"])})
