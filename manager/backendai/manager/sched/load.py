"""The planner's view, read from Postgres in few statements, each of which sees its own moment."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import (
    AgentStatus,
    ClusterMode,
    DefaultForUnspecified,
    PlacementStrategy,
    SessionResult,
    SessionType,
)
from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.common.images import is_custom
from backendai.common.lifecycle import SESSION_LIVE, SessionStatus
from backendai.manager.agents.model import AgentRow
from backendai.manager.db import tables as t

from .swarms import read_swarm
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
    designate,
    read_limits,
    to_units,
    units_of,
)

# A hundred years: longer waits have no form as a span of time.
TIMEOUT_SECONDS_MAX: Final = 100 * 366 * 86400
_s: Final = t.sessions.c
_k: Final = t.kernels.c
_COUNTED: Final = ", ".join(
    f"'{status}'" for status in sorted(SESSION_LIVE) if status is not SessionStatus.PENDING
)

_PENDING: Final = (
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
        _s.waiting["digest"].astext.label("digest"),
        sa.exists().where(t.session_dependencies.c.session_id == _s.id).label("depends"),
        _k.id.label("kernel_id"),
        _k.revision.label("kernel_revision"),
        _k.requested_slots.label("kernel_slots"),
        _k.architecture,
        _k.failed_agents,
        _k.image,
        _k.image_id,
    )
    .join(t.kernels, _k.session_id == _s.id)
    .where(_s.status == SessionStatus.PENDING.value)
    .order_by(_k.cluster_role, _k.cluster_index)
)

# Amounts are exact texts: a number in JSON would be read as a float. Whether the cluster is frozen
# comes with them, as it concerns nobody where there is no resource group.
_NODES: Final = sa.text("""
SELECT EXISTS (SELECT FROM cluster_status WHERE status = 'frozen') AS is_frozen,
  g.name AS group_name, g.is_active, g.scheduler_opts, a.id, a.resource_group, a.architecture,
  a.status, a.schedulable, a.engine_reachable, a.swarm,
  whole.slots AS capacity, held.slots AS occupied
FROM resource_groups AS g
LEFT JOIN agents AS a ON a.resource_group = g.name
LEFT JOIN (
  SELECT agent_id, jsonb_object_agg(slot, CAST(capacity AS text)) AS slots
  FROM agent_slots GROUP BY agent_id
) AS whole ON whole.agent_id = a.id
LEFT JOIN (
  SELECT agent_id, jsonb_object_agg(slot, CAST(amount AS text)) AS slots FROM (
    SELECT agent_id, slot, sum(amount) AS amount
    FROM allocations WHERE freed_at IS NULL GROUP BY agent_id, slot
  ) AS sums GROUP BY agent_id
) AS held ON held.agent_id = a.id
ORDER BY a.id, g.name
""").columns(scheduler_opts=JSONB, swarm=JSONB, capacity=JSONB, occupied=JSONB)

_LOCK_NODES: Final = sa.text("""
SELECT a.id, a.resource_group, a.architecture, a.status, a.schedulable, a.engine_reachable, a.swarm,
  (
    SELECT jsonb_object_agg(slot, CAST(capacity AS text)) FROM agent_slots WHERE agent_id = a.id
  ) AS capacity,
  (
    SELECT jsonb_object_agg(slot, CAST(amount AS text)) FROM (
      SELECT slot, sum(amount) AS amount
      FROM allocations WHERE agent_id = a.id AND freed_at IS NULL GROUP BY slot
    ) AS sums
  ) AS occupied
FROM agents AS a
WHERE a.id = ANY(CAST(:ids AS text[]))
  AND NOT EXISTS (SELECT FROM cluster_status WHERE status = 'frozen')
ORDER BY a.id FOR NO KEY UPDATE OF a
""").columns(swarm=JSONB, capacity=JSONB, occupied=JSONB)

# The sums are worked out only for who has a limit. The interpolated words are statuses of the
# table, never input.
_USED: Final = """(
    SELECT jsonb_object_agg(slot, CAST(amount AS text)) FROM (
      SELECT h.slot, sum(h.amount) AS amount
      FROM allocations AS h
      JOIN kernels AS k ON k.id = h.kernel_id JOIN sessions AS s ON s.id = k.session_id
      WHERE h.freed_at IS NULL AND {of} GROUP BY h.slot
    ) AS sums
  )"""


def _select_quotas(*, is_whole: bool) -> sa.TextualSelect:
    """Also what is used where nothing limits it, with `is_whole`."""
    named = "policy.total_resource_slots <> '{}'"
    closed = f"policy.default_for_unspecified = '{DefaultForUnspecified.LIMITED.value}'"
    of_keypair = _USED.format(of="s.access_key = key.access_key")
    return sa.text(
        f"""
SELECT 'keypair' AS scope, key.access_key AS key, key.access_key AS name,
  policy.max_concurrent_sessions AS sessions_max, policy.total_resource_slots AS slots,
  {closed} AS closed,
  (
    SELECT count(*) FROM sessions AS s
    WHERE s.access_key = key.access_key AND s.status IN ({_COUNTED})
  ) AS sessions,
  CASE WHEN {is_whole} OR {named} OR {closed} THEN {of_keypair} END AS used
FROM keypairs AS key JOIN keypair_policies AS policy ON policy.name = key.resource_policy
WHERE key.access_key = ANY(CAST(:keypair AS text[]))
UNION ALL
SELECT 'project', CAST(project.id AS text), project.name, NULL, project.total_resource_slots, false,
  0, {_USED.format(of="s.project_id = project.id")}
FROM projects AS project
WHERE project.id = ANY(CAST(:project AS uuid[]))
  AND ({is_whole} OR project.total_resource_slots <> '{{}}')
UNION ALL
SELECT 'domain', domain.name, domain.name, NULL, domain.total_resource_slots, false,
  0, {_USED.format(of="s.domain_name = domain.name")}
FROM domains AS domain
WHERE domain.name = ANY(CAST(:domain AS text[]))
  AND ({is_whole} OR domain.total_resource_slots <> '{{}}')
"""  # noqa: S608
    ).columns(slots=JSONB, used=JSONB)


_QUOTAS: Final = _select_quotas(is_whole=False)
_WHOLE_QUOTAS: Final = _select_quotas(is_whole=True)


async def load_view(conn: AsyncConnection) -> View:
    """Nodes, groups, waiting sessions and their quotas. Cheap when nothing waits."""
    pending = await _load_pending(conn)
    nodes, groups, is_frozen = await load_nodes(conn)
    if not pending:
        return View.of(nodes, (), groups, is_frozen=is_frozen)
    dependent = [rows[0].id for rows in pending if rows[0].depends]
    dependencies = await _load_dependencies(conn, dependent) if dependent else {}
    holders = await _load_holders(conn, pending)
    asks = [_ask(rows, dependencies.get(rows[0].id, []), holders) for rows in pending]
    quotas = await load_quotas(conn, {scope for ask in asks for scope in ask.scopes})
    return View.of(nodes, asks, groups, quotas, is_frozen=is_frozen)


async def _load_pending(conn: AsyncConnection) -> list[list[Any]]:
    """The rows of each waiting session, one for each of its kernels, main kernel first.

    One statement, so a session is there with all of its kernels or not at all.
    """
    by_session: dict[Any, list[Any]] = {}
    for row in await conn.execute(_PENDING):
        by_session.setdefault(row.id, []).append(row)
    return list(by_session.values())


async def _load_holders(
    conn: AsyncConnection, pending: Iterable[Sequence[Any]]
) -> dict[Any, list[str]]:
    """The nodes that have an image which others cannot get, by its id."""
    custom = {row.image_id for rows in pending for row in rows if is_custom(row.image)} - {None}
    by_image: dict[Any, list[str]] = {}
    if custom:
        on_node = t.image_agents.c
        found = await conn.execute(
            sa.select(on_node.image_id, on_node.agent_id).where(on_node.image_id.in_(custom))
        )
        for image_id, agent_id in found:
            by_image.setdefault(image_id, []).append(agent_id)
    return by_image


async def load_nodes(conn: AsyncConnection) -> tuple[list[Node], list[Group], bool]:
    """All nodes, all resource groups, also those without a node, and whether the cluster is
    frozen."""
    nodes: list[Node] = []
    groups: dict[str, Group] = {}
    is_frozen = False
    for row in await conn.execute(_NODES):
        is_frozen = row.is_frozen
        if row.group_name not in groups:
            groups[row.group_name] = Group(
                row.group_name,
                strategy_of(row.scheduler_opts),
                row.is_active,
                pending_timeout_of(row.scheduler_opts),
            )
        if row.id is not None:
            nodes.append(node_of(row, row.capacity or {}, row.occupied or {}))
    return nodes, list(groups.values()), is_frozen


async def lock_nodes(conn: AsyncConnection, agent_ids: Sequence[str]) -> list[Node]:
    """Lock agents until the transaction ends, in the order of their ids as every locker does.

    What they give counts as of the beginning of this statement: whoever wants to add to it has to
    be kept away by a lock that was taken before. In a frozen cluster no node takes anything.
    """
    found = await conn.execute(_LOCK_NODES, {"ids": list(agent_ids)})
    return [node_of(row, row.capacity or {}, row.occupied or {}) for row in found]


def node_of(
    agent: AgentRow | sa.Row[Any],
    capacity: Mapping[str, Decimal | str],
    occupied: Mapping[str, Decimal | str],
) -> Node:
    return Node(
        id=AgentId(agent.id),
        group=agent.resource_group,
        architecture=agent.architecture,
        capacity=_units(capacity),
        occupied=_units(occupied),
        status=AgentStatus(agent.status),
        is_schedulable=agent.schedulable,
        is_engine_reachable=agent.engine_reachable,
        swarm=read_swarm(agent.swarm),
    )


def _units(amounts: Mapping[str, Decimal | str]) -> dict[str, int]:
    return {slot: to_units(slot, amount) for slot, amount in amounts.items()}


def strategy_of(options: object) -> PlacementStrategy:
    """The placement that a resource group's options ask for; dispersed where they do not say."""
    word = _option(options, "placement", "agent_selection_strategy")
    known = {strategy.value: strategy for strategy in PlacementStrategy}
    return known.get(word if isinstance(word, str) else "", PlacementStrategy.DISPERSED)


def pending_timeout_of(options: object) -> float | None:
    """How long a session may wait in a resource group, in seconds; zero, nothing or more than
    `TIMEOUT_SECONDS_MAX`: for ever."""
    seconds = _option(options, "pending_timeout_seconds", "pending_timeout")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return float(seconds) if 0 < seconds <= TIMEOUT_SECONDS_MAX else None


def _option(options: object, *names: str) -> object:
    """By our word, or else by that of official clients."""
    if not isinstance(options, Mapping):
        return None
    return next((options[name] for name in names if name in options), None)


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
    rows: Sequence[Any], dependencies: Sequence[Dependency], holders: Mapping[Any, Sequence[str]]
) -> Ask:
    session = rows[0]
    is_single_node = session.cluster_mode == ClusterMode.SINGLE_NODE.value
    designated = designate(
        session.designated_agents,
        [holders.get(row.image_id, ()) for row in rows],
        is_single_node=is_single_node,
    )
    return Ask(
        session_id=SessionId(session.id),
        group=session.resource_group,
        kernels=tuple(map(_kernel_ask, rows, designated)),
        priority=session.priority,
        created_at=session.created_at,
        is_single_node=is_single_node,
        starts_at=session.starts_at,
        dependencies=tuple(dependencies),
        scopes=scopes_of(session.access_key, session.project_id, session.domain_name),
        waiting_digest=session.digest or "",
    )


def _kernel_ask(row: Any, designated: tuple[str, ...]) -> KernelAsk:
    return KernelAsk(
        KernelId(row.kernel_id),
        Revision(row.kernel_revision),
        tuple(sorted(units_of(row.kernel_slots).items())),
        row.architecture,
        tuple(row.failed_agents),
        designated,
    )


def scopes_of(access_key: str, project_id: object, domain: str) -> tuple[ScopeKey, ...]:
    return (("keypair", access_key), ("project", str(project_id)), ("domain", domain))


async def load_quotas(
    conn: AsyncConnection, scopes: Iterable[ScopeKey], *, is_whole: bool = False
) -> dict[ScopeKey, Quota]:
    """The limits of `scopes` and what live sessions use of them; who has none is left out, but not
    with `is_whole`."""
    named: dict[str, list[str]] = {"keypair": [], "project": [], "domain": []}
    for scope, key in scopes:
        named[scope].append(key)
    found = await conn.execute(_WHOLE_QUOTAS if is_whole else _QUOTAS, named)
    return {(row.scope, row.key): _quota(row) for row in found}


def _quota(row: Any) -> Quota:
    """An `Infinity` grants its slot where others are closed."""
    slots_max, problem = read_limits(row.slots)
    return Quota(
        scope=row.scope,
        name=row.name,
        sessions_max=row.sessions_max,
        sessions=row.sessions,
        slots_max=slots_max,
        slots=_units(row.used or {}),
        is_closed=row.closed,
        problem=problem,
    )
