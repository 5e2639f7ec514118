"""Nodes in Postgres: what they report, and their status. Ages are by the database's clock."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.contracts.agent import AgentReport, ImageReport, SwarmReport
from backendai.common.enums import AgentStatus
from backendai.common.faults import AgentNotFound, ResourceGroupNotFound
from backendai.common.ids import AgentId, IdSource, KernelId
from backendai.common.lifecycle import HOLDING
from backendai.manager.db import tables as t

from .model import AgentRow, AgentView, Contact

_a: Final = t.agents.c
_k: Final = t.kernels.c
_HOLDING: Final = sorted(status.value for status in HOLDING)
_NAMED_MAX: Final = 20
_NOW: Final = sa.func.clock_timestamp()


def _seconds_since(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.coalesce(sa.extract("epoch", _NOW - column), 0), sa.Float)


_COLUMNS: Final = (
    _a.id,
    _a.status,
    _a.address,
    _a.public_key,
    _a.instance,
    _a.resource_group,
    _a.region,
    _a.architecture,
    _a.backend,
    _a.version,
    _a.schedulable,
    _a.engine_reachable,
    _a.engine_detail,
    _a.halted,
    _a.plugins,
    _a.swarm,
    _a.first_contact,
    _a.last_seen_at,
    _a.lost_at,
    _a.flaps,
    _seconds_since(_a.last_seen_at).label("silent_seconds"),
    _seconds_since(_a.steady_since).label("steady_seconds"),
    _seconds_since(_a.status_changed_at).label("status_seconds"),
)


async def list_agents(conn: AsyncConnection) -> list[AgentRow]:
    found = await conn.execute(sa.select(*_COLUMNS).order_by(_a.id))
    return [_row(row._mapping) for row in found]


async def get_agent(conn: AsyncConnection, agent_id: AgentId) -> AgentRow:
    """Raises AgentNotFound."""
    found = await conn.execute(sa.select(*_COLUMNS).where(_a.id == agent_id))
    for row in found:
        return _row(row._mapping)
    raise AgentNotFound(agent_id)


async def lock_agent(conn: AsyncConnection, agent_id: AgentId) -> AgentRow:
    """As `lock_agents`. Raises AgentNotFound."""
    for row in await lock_agents(conn, [agent_id]):
        return row
    known = await conn.scalars(sa.select(_a.id).order_by(_a.id).limit(_NAMED_MAX))
    raise AgentNotFound(agent_id, {"known": ", ".join(known) or "none"})


async def lock_agents(conn: AsyncConnection, agent_ids: Sequence[AgentId]) -> list[AgentRow]:
    """Lock nodes until the transaction ends, in the order of their ids as every locker does."""
    found = await conn.execute(
        sa.select(*_COLUMNS)
        .where(_a.id.in_(agent_ids))
        .order_by(_a.id)
        .with_for_update(key_share=True)
    )
    return [_row(row._mapping) for row in found]


Amounts = dict[AgentId, dict[str, Decimal]]


async def load_room(
    conn: AsyncConnection, agent_ids: Sequence[str] | None = None
) -> tuple[Amounts, Amounts]:
    """What each node has, and the sums of its live allocations, both by slot."""
    has, held = t.agent_slots.c, t.allocations.c
    whole = sa.select(has.agent_id, has.slot, has.capacity, sa.true().label("is_capacity"))
    taken = (
        sa.select(held.agent_id, held.slot, sa.func.sum(held.amount), sa.false())
        .where(held.freed_at.is_(None))
        .group_by(held.agent_id, held.slot)
    )
    if agent_ids is not None:
        whole = whole.where(has.agent_id.in_(agent_ids))
        taken = taken.where(held.agent_id.in_(agent_ids))
    capacities: Amounts = {}
    occupied: Amounts = {}
    for agent_id, slot, amount, is_capacity in await conn.execute(whole.union_all(taken)):
        amounts = capacities if is_capacity else occupied
        amounts.setdefault(AgentId(agent_id), {})[slot] = amount
    return capacities, occupied


async def load_views(conn: AsyncConnection) -> list[AgentView]:
    """Every node with what it has, what is taken of it, and by how many kernels."""
    rows = await list_agents(conn)
    capacities, occupied = await load_room(conn)
    holding = sa.select(_k.agent_id, sa.func.count().label("kernels")).where(
        _k.status.in_(_HOLDING)
    )
    found = await conn.execute(holding.group_by(_k.agent_id))
    counts: dict[str, int] = {row.agent_id: row.kernels for row in found}
    return [
        AgentView(row, capacities.get(row.id, {}), occupied.get(row.id, {}), counts.get(row.id, 0))
        for row in rows
    ]


async def list_kernels(conn: AsyncConnection, agent_id: AgentId) -> list[KernelId]:
    """Those that hold room on a node."""
    held = sa.select(_k.id).where(_k.agent_id == agent_id, _k.status.in_(_HOLDING))
    return [KernelId(key) for key in await conn.scalars(held)]


async def hear(
    conn: AsyncConnection,
    agent_id: AgentId,
    gap_seconds: float,
    instance: str,
    use: Mapping[str, Any] | None = None,
) -> bool:
    """Note a word from a node; a silence of `gap_seconds` before it begins its probation anew.

    `use` is how busy it is, as `health.use_of` makes it.

    False when the node, or this life of it, is not known: its report must be recorded first.
    """
    is_gap = _seconds_since(_a.last_seen_at) >= gap_seconds
    done = await conn.execute(
        sa.update(t.agents)
        .where(_a.id == agent_id, _a.instance == instance)
        .values(
            last_seen_at=_NOW,
            steady_since=sa.case((is_gap, _NOW), else_=_a.steady_since),
            **({} if use is None else {"last_use": dict(use)}),
        )
        .returning(_a.id)
    )
    return done.first() is not None


async def record_report(conn: AsyncConnection, contact: Contact, report: AgentReport) -> None:
    """Take what a node says of itself: its row and its capacity. Its status is judged elsewhere.

    Raises ResourceGroupNotFound when the node belongs to an unknown resource group.
    """
    group = await conn.scalar(
        sa.select(t.resource_groups.c.name).where(t.resource_groups.c.name == report.resource_group)
    )
    if group is None:
        raise ResourceGroupNotFound(f"{report.resource_group}, of agent {report.agent_id}")
    said = {
        "address": contact.address,
        "public_key": contact.public_key,
        "relay_addr": report.relay_addr,
        "instance": report.instance,
        "resource_group": report.resource_group,
        "region": report.region,
        "architecture": report.architecture,
        "backend": report.backend,
        "version": report.daemon_version,
        "engine_reachable": report.engine_reachable,
        "engine_detail": report.engine_detail,
        "halted": report.halted,
        "plugins": dict(report.plugins),
        "swarm": swarm_facts(report.swarm),
    }
    first = {
        "id": report.agent_id,
        "status": AgentStatus.ALIVE.value,
        "status_changed_at": _NOW,
        "first_contact": _NOW,
        "last_seen_at": _NOW,
        "steady_since": _NOW,
    }
    statement = upsert(t.agents).values(**first, **said)
    await conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=said))
    await _record_capacity(conn, report.agent_id, report.capacity)


def swarm_facts(report: SwarmReport) -> dict[str, Any]:
    """What is kept of a node's swarm: not which networks are there now. PURE."""
    kept: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(report, networks=[]))
    return kept


async def _record_capacity(
    conn: AsyncConnection, agent_id: str, capacity: Mapping[str, str]
) -> None:
    gone = sa.delete(t.agent_slots).where(
        t.agent_slots.c.agent_id == agent_id, t.agent_slots.c.slot.not_in(list(capacity))
    )
    await conn.execute(gone)
    if not capacity:
        return
    statement = upsert(t.agent_slots).values(
        [
            {"agent_id": agent_id, "slot": slot, "capacity": Decimal(amount)}
            for slot, amount in sorted(capacity.items())
        ]
    )
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_id", "slot"], set_={"capacity": statement.excluded.capacity}
        )
    )


async def record_images(
    conn: AsyncConnection, agent_id: AgentId, images: Sequence[ImageReport], ids: IdSource
) -> None:
    """Make the images that a node has known, and which those are."""
    on_node = t.image_agents.c
    await conn.execute(sa.delete(t.image_agents).where(on_node.agent_id == agent_id))
    unique = {(image.name, image.architecture): image for image in images}
    if not unique:
        return
    statement = upsert(t.images).values(
        [_image_values(image, ids) for _, image in sorted(unique.items())]
    )
    # What an administrator registered, or a registry told, stays as it is: a node may have an old
    # copy. What nodes told of is told anew.
    is_theirs = t.images.c.is_local
    told = {
        name: sa.case((known, statement.excluded[name]), else_=t.images.c[name])
        for name, known in (
            ("digest", is_theirs),
            ("size_bytes", is_theirs | (t.images.c.digest == "")),
            ("labels", is_theirs),
        )
    }
    known = await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "architecture"], set_=told
        ).returning(t.images.c.id)
    )
    rows = [{"image_id": row.id, "agent_id": agent_id} for row in known]
    await conn.execute(upsert(t.image_agents).on_conflict_do_nothing(), rows)


async def record_image(
    conn: AsyncConnection, agent_id: AgentId, image: ImageReport, ids: IdSource
) -> None:
    """Make one image that a node has just made known, before the node reports it."""
    values = _image_values(image, ids)
    statement = upsert(t.images).values(values)
    told = {name: statement.excluded[name] for name in ("digest", "size_bytes", "labels")}
    statement = statement.on_conflict_do_update(
        index_elements=["name", "architecture"], set_={**told, "is_local": True, "is_active": True}
    )
    image_id = await conn.scalar(statement.returning(t.images.c.id))
    on_node = upsert(t.image_agents).values(image_id=image_id, agent_id=agent_id)
    await conn.execute(on_node.on_conflict_do_nothing())


async def set_status(conn: AsyncConnection, row: AgentRow, status: AgentStatus, flaps: int) -> bool:
    """Move a node's status; False when another manager did meanwhile."""
    done = await conn.execute(
        sa.update(t.agents)
        .where(_a.id == row.id, _a.status == row.status.value)
        .values(
            status=status.value,
            status_changed_at=_NOW,
            flaps=flaps,
            lost_at=_NOW if status is AgentStatus.LOST else None,
        )
        .returning(_a.id)
    )
    return done.first() is not None


async def allow_sessions(conn: AsyncConnection, agent_id: AgentId, *, is_allowed: bool) -> None:
    """Whether new sessions may be placed on a node; its former silences are forgiven."""
    values: dict[str, Any] = {"schedulable": is_allowed, **({"flaps": 0} if is_allowed else {})}
    await conn.execute(sa.update(t.agents).where(_a.id == agent_id).values(**values))


def _image_values(image: ImageReport, ids: IdSource) -> dict[str, Any]:
    name, _, tag = image.name.rpartition(":")
    registry, slash, _ = image.name.partition("/")
    has_registry = bool(slash) and ("." in registry or ":" in registry)
    return {
        "id": ids.uuid(),
        "name": image.name,
        "architecture": image.architecture,
        "registry": registry if has_registry else "",
        "tag": tag if name and "/" not in tag else "latest",
        "digest": image.digest,
        "size_bytes": image.size_bytes,
        "labels": dict(image.labels),
        "is_local": True,
    }


def _row(row: Mapping[Any, Any]) -> AgentRow:
    values = {str(key): value for key, value in row.items()}
    return AgentRow(**{**values, "id": AgentId(row["id"]), "status": AgentStatus(row["status"])})
