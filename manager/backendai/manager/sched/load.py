"""The planner's view, read from Postgres in few statements, each of which sees its own moment."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import (
    ClusterMode,
    DefaultForUnspecified,
    PlacementStrategy,
    SessionResult,
    SessionType,
)
from backendai.common.ids import KernelId, Revision, SessionId
from backendai.common.lifecycle import SESSION_LIVE, SessionStatus
from backendai.manager.agents.model import AgentRow
from backendai.manager.agents.store import list_agents, load_room
from backendai.manager.db import tables as t

from .view import (
    Ask,
    Dependency,
    DependencyState,
    Group,
    KernelAsk,
    Node,
    Quota,
    ScopeKey,
    View,
    to_units,
    units_of,
)

_s: Final = t.sessions.c
_COUNTED: Final = [status.value for status in SESSION_LIVE if status is not SessionStatus.PENDING]


async def load_view(conn: AsyncConnection) -> View:
    """Nodes, groups, waiting sessions and their quotas. Cheap when nothing waits."""
    pending = await _load_pending(conn)
    nodes = await _load_nodes(conn)
    groups = await _load_groups(conn)
    if not pending:
        return View.of(nodes, (), groups)
    ids = [row["id"] for row in pending]
    kernels = await _load_kernels(conn, ids)
    dependent = [row["id"] for row in pending if row["depends"]]
    dependencies = await _load_dependencies(conn, dependent) if dependent else {}
    # Each query sees its own moment: a session that has left the queue since the first of them
    # has no kernels here, and is nothing to place.
    asks = [
        _ask(row, found, dependencies.get(row["id"], []))
        for row in pending
        if (found := kernels.get(row["id"]))
    ]
    quotas = await load_quotas(conn, {scope for ask in asks for scope in ask.scopes})
    return View.of(nodes, asks, groups, quotas)


async def _load_pending(conn: AsyncConnection) -> list[Mapping[Any, Any]]:
    found = await conn.execute(
        sa.select(
            _s.id,
            _s.resource_group,
            _s.priority,
            _s.created_at,
            _s.cluster_mode,
            _s.designated_agents,
            _s.starts_at,
            _s.access_key,
            _s.project_id,
            _s.domain_name,
            _s.waiting,
            sa.exists().where(t.session_dependencies.c.session_id == _s.id).label("depends"),
        ).where(_s.status == SessionStatus.PENDING.value)
    )
    return [row._mapping for row in found]


async def _load_nodes(conn: AsyncConnection) -> list[Node]:
    agents = await list_agents(conn)
    capacities, occupied = await load_room(conn)
    return [
        node_of(agent, capacities.get(agent.id, {}), occupied.get(agent.id, {})) for agent in agents
    ]


def node_of(
    agent: AgentRow, capacity: Mapping[str, Decimal], occupied: Mapping[str, Decimal]
) -> Node:
    return Node(
        id=agent.id,
        group=agent.resource_group,
        architecture=agent.architecture,
        capacity=_units(capacity),
        occupied=_units(occupied),
        status=agent.status,
        is_schedulable=agent.schedulable,
        is_engine_reachable=agent.engine_reachable,
    )


def _units(amounts: Mapping[str, Decimal]) -> dict[str, int]:
    return {slot: to_units(slot, amount) for slot, amount in amounts.items()}


async def _load_groups(conn: AsyncConnection) -> list[Group]:
    groups = t.resource_groups.c
    found = await conn.execute(sa.select(groups.name, groups.is_active, groups.scheduler_opts))
    return [
        Group(
            row.name,
            strategy_of(row.scheduler_opts),
            row.is_active,
            pending_timeout_of(row.scheduler_opts),
        )
        for row in found
    ]


def strategy_of(options: Mapping[str, Any]) -> PlacementStrategy:
    """The placement that a resource group's options ask for; dispersed where they do not say."""
    word = options.get("placement", PlacementStrategy.DISPERSED.value)
    known = {strategy.value: strategy for strategy in PlacementStrategy}
    return known.get(word, PlacementStrategy.DISPERSED)


def pending_timeout_of(options: Mapping[str, Any]) -> float | None:
    """How long a session may wait in a resource group, in seconds; zero or nothing: for ever."""
    seconds = options.get("pending_timeout_seconds")
    is_limit = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    return float(seconds) if is_limit and seconds is not None else None


async def _load_kernels(
    conn: AsyncConnection, session_ids: Sequence[Any]
) -> dict[Any, list[KernelAsk]]:
    k = t.kernels.c
    found = await conn.execute(
        sa.select(
            k.id, k.session_id, k.revision, k.requested_slots, k.architecture, k.failed_agents
        )
        .join(t.sessions, _s.id == k.session_id)
        .where(_s.status == SessionStatus.PENDING.value)
        .order_by(k.cluster_role, k.cluster_index)
    )
    kernels: dict[Any, list[KernelAsk]] = {key: [] for key in session_ids}
    for row in found:
        if row.session_id in kernels:
            kernels[row.session_id].append(
                KernelAsk(
                    KernelId(row.id),
                    Revision(row.revision),
                    tuple(sorted(units_of(row.requested_slots).items())),
                    row.architecture,
                    tuple(row.failed_agents),
                )
            )
    return kernels


async def _load_dependencies(
    conn: AsyncConnection, session_ids: Sequence[Any]
) -> dict[Any, list[Dependency]]:
    links = t.session_dependencies.c
    found = await conn.execute(
        sa.select(links.session_id, _s.id, _s.name, _s.status, _s.result, _s.type)
        .join(t.sessions, _s.id == links.depends_on)
        .where(links.session_id.in_(session_ids))
        .order_by(_s.name)
    )
    by_session: dict[Any, list[Dependency]] = {}
    for row in found:
        state = dependency_state(
            SessionStatus(row.status), SessionResult(row.result), SessionType(row.type)
        )
        one = Dependency(SessionId(row.id), row.name, row.status, state)
        by_session.setdefault(row.session_id, []).append(one)
    return by_session


def dependency_state(
    status: SessionStatus, result: SessionResult, kind: SessionType
) -> DependencyState:
    """DONE when it ended well. A batch session must have succeeded; another one has no result, and
    ending after it ran is enough."""
    if status is SessionStatus.CANCELLED or (
        status is SessionStatus.TERMINATED and result is SessionResult.FAILURE
    ):
        return DependencyState.FAILED
    if status is not SessionStatus.TERMINATED:
        return DependencyState.WAITING
    is_well = result is SessionResult.SUCCESS or kind is not SessionType.BATCH
    return DependencyState.DONE if is_well else DependencyState.FAILED


def _ask(
    row: Mapping[Any, Any], kernels: Sequence[KernelAsk], dependencies: Sequence[Dependency]
) -> Ask:
    return Ask(
        session_id=SessionId(row["id"]),
        group=row["resource_group"],
        kernels=tuple(kernels),
        priority=row["priority"],
        created_at=row["created_at"],
        is_single_node=row["cluster_mode"] == ClusterMode.SINGLE_NODE.value,
        designated=tuple(row["designated_agents"]),
        starts_at=row["starts_at"],
        dependencies=tuple(dependencies),
        scopes=scopes_of(row["access_key"], row["project_id"], row["domain_name"]),
        waiting_digest=row["waiting"].get("digest", ""),
    )


def scopes_of(access_key: str, project_id: object, domain: str) -> tuple[ScopeKey, ...]:
    return (("keypair", access_key), ("project", str(project_id)), ("domain", domain))


async def load_quotas(conn: AsyncConnection, scopes: Iterable[ScopeKey]) -> dict[ScopeKey, Quota]:
    """The limits of `scopes` and what live sessions use of them; who has none is left out."""
    limits = await _load_limits(conn, list(scopes))
    if not limits:
        return {}
    counts_sessions = any(quota.sessions_max is not None for quota in limits.values())
    counts_slots = any(quota.slots_max or quota.is_closed for quota in limits.values())
    sessions = await _count_sessions(conn) if counts_sessions else {}
    used = await _sum_held(conn) if counts_slots else {}
    return {
        key: Quota(
            scope=quota.scope,
            name=quota.name,
            sessions_max=quota.sessions_max,
            sessions=sessions.get(key, 0),
            slots_max=quota.slots_max,
            slots={slot: to_units(slot, amount) for slot, amount in used.get(key, {}).items()},
            is_closed=quota.is_closed,
        )
        for key, quota in limits.items()
    }


async def _load_limits(conn: AsyncConnection, scopes: Sequence[ScopeKey]) -> dict[ScopeKey, Quota]:
    if not scopes:
        return {}
    wanted = {kind: [key for one, key in scopes if one == kind] for kind in _LIMITS}
    statements = [_LIMITS[kind](keys) for kind, keys in wanted.items() if keys]
    found = await conn.execute(sa.union_all(*statements))
    return {(row.scope, row.key): _quota(row) for row in found}


def _limits_of_keypairs(keys: Sequence[str]) -> sa.Select[Any]:
    key, policy = t.keypairs.c, t.keypair_policies.c
    return (
        sa.select(
            sa.literal("keypair").label("scope"),
            key.access_key.label("key"),
            key.access_key.label("name"),
            policy.max_concurrent_sessions.label("sessions_max"),
            policy.total_resource_slots.label("slots"),
            (policy.default_for_unspecified == DefaultForUnspecified.LIMITED.value).label("closed"),
        )
        .join(t.keypair_policies, policy.name == key.resource_policy)
        .where(key.access_key.in_(keys))
    )


def _limits_of_projects(keys: Sequence[str]) -> sa.Select[Any]:
    project = t.projects.c
    ids = [uuid.UUID(key) for key in keys]
    return _limits_of_all("project", sa.cast(project.id, sa.Text), t.projects).where(
        project.id.in_(ids)
    )


def _limits_of_domains(keys: Sequence[str]) -> sa.Select[Any]:
    return _limits_of_all("domain", t.domains.c.name, t.domains).where(t.domains.c.name.in_(keys))


def _limits_of_all(scope: str, key: sa.ColumnElement[str], table: sa.Table) -> sa.Select[Any]:
    """Rows whose limit is empty limit nothing, and are left out."""
    limits = table.c.total_resource_slots
    return sa.select(sa.literal(scope), key, table.c.name, sa.null(), limits, sa.false()).where(
        limits != sa.cast({}, limits.type)
    )


def _quota(row: Any) -> Quota:
    return Quota(
        scope=row.scope,
        name=row.name,
        sessions_max=row.sessions_max,
        slots_max=_limit_units(row.slots),
        is_closed=row.closed,
    )


_LIMITS: Final = {
    "keypair": _limits_of_keypairs,
    "project": _limits_of_projects,
    "domain": _limits_of_domains,
}


def _limit_units(limits: Mapping[str, str]) -> dict[str, int]:
    """Limits as units; `Infinity` limits nothing, but grants the slot where others are closed."""
    return {slot: to_units(slot, amount) for slot, amount in limits.items()}


async def _count_sessions(conn: AsyncConnection) -> dict[ScopeKey, int]:
    found = await conn.execute(
        sa.select(_s.access_key, sa.func.count())
        .where(_s.status.in_(_COUNTED))
        .group_by(_s.access_key)
    )
    return {("keypair", row[0]): row[1] for row in found}


async def _sum_held(conn: AsyncConnection) -> dict[ScopeKey, dict[str, Decimal]]:
    held = t.allocations.c
    found = await conn.execute(
        sa.select(_s.access_key, _s.project_id, _s.domain_name, held.slot, sa.func.sum(held.amount))
        .select_from(t.allocations)
        .join(t.kernels, t.kernels.c.id == held.kernel_id)
        .join(t.sessions, _s.id == t.kernels.c.session_id)
        .where(held.freed_at.is_(None))
        .group_by(_s.access_key, _s.project_id, _s.domain_name, held.slot)
    )
    sums: dict[ScopeKey, dict[str, Decimal]] = {}
    for access_key, project_id, domain, slot, amount in found:
        for scope in scopes_of(access_key, project_id, domain):
            slots = sums.setdefault(scope, {})
            slots[slot] = slots.get(slot, Decimal(0)) + amount
    return sums
