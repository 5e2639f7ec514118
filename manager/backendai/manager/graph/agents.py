"""Nodes in GraphQL. What is taken of one is the sum of its live allocations, never a counter."""

import enum
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import AgentStatus
from backendai.common.lifecycle import HOLDING
from backendai.common.slots import CPU, MEM, format_amount
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.render import iso, metric

from . import pages
from .columns import boolean, text, time, word_of
from .kernels import load_of_agents
from .minilang import Column, Condition
from .pages import Listing, Row, Wanted
from .selection import Info, arguments, selected
from .texts import json_text

AGENTS_MAX: Final = 1000
GPU: Final = "cuda.device"
TPU: Final = "tpu.device"
_MIB: Final = 1024**2
_a, _has, _held, _k = t.agents, t.agent_slots, t.allocations, t.kernels


class ShownStatus(enum.StrEnum):
    """The statuses that the API knows of."""

    ALIVE = "ALIVE"
    LOST = "LOST"
    RESTARTING = "RESTARTING"
    TERMINATED = "TERMINATED"


_CAPACITY: Final = (
    sa.select(sa.func.jsonb_object_agg(_has.c.slot, sa.cast(_has.c.capacity, sa.Text)))
    .where(_has.c.agent_id == _a.c.id)
    .correlate(_a)
    .scalar_subquery()
)
_SUMS: Final = (
    sa.select(_held.c.slot, sa.func.sum(_held.c.amount).label("amount"))
    .where(_held.c.agent_id == _a.c.id, _held.c.freed_at.is_(None))
    .group_by(_held.c.slot)
    .correlate(_a)
    .subquery("held")
)
_OCCUPIED: Final = sa.select(
    sa.func.jsonb_object_agg(_SUMS.c.slot, sa.cast(_SUMS.c.amount, sa.Text))
).scalar_subquery()
_CONTAINERS: Final = (
    sa.select(sa.func.count())
    .where(_k.c.agent_id == _a.c.id, _k.c.status.in_(sorted(word.value for word in HOLDING)))
    .correlate(_a)
    .scalar_subquery()
)
_STATUS: Final = sa.case(
    # A node whose beats were missed is not given up yet, and the API has no word for it.
    (_a.c.status == AgentStatus.SUSPECT.value, AgentStatus.ALIVE.value),
    else_=_a.c.status,
)
# Amounts of slots are put in the order of their cores.
_CORES: Final = (
    sa.select(sa.func.sum(_has.c.capacity))
    .where(_has.c.agent_id == _a.c.id, _has.c.slot == CPU)
    .correlate(_a)
    .scalar_subquery()
)
_CORES_TAKEN: Final = sa.func.coalesce(
    sa.select(sa.func.sum(_held.c.amount))
    .where(_held.c.agent_id == _a.c.id, _held.c.freed_at.is_(None), _held.c.slot == CPU)
    .correlate(_a)
    .scalar_subquery(),
    0,
)
_OF_SUMMARY: Final[Mapping[str, Column]] = {
    "id": Column(_a.c.id, text),
    "scaling_group": Column(_a.c.resource_group, text),
    "schedulable": Column(_a.c.schedulable, boolean),
    "status": Column(_STATUS, word_of(ShownStatus)),
    "available_slots": Column(_CORES, text, filterable=False),
    "occupied_slots": Column(_CORES_TAKEN, text, filterable=False),
}
_COLUMNS: Final[Mapping[str, Column]] = {
    **_OF_SUMMARY,
    "addr": Column(_a.c.address, text, orderable=False),
    "first_contact": Column(_a.c.first_contact, time),
    "lost_at": Column(_a.c.lost_at, time),
    "region": Column(_a.c.region, text),
    "status_changed": Column(_a.c.status_changed_at, time),
    "version": Column(_a.c.version, text),
}
AGENTS: Final = Listing(_a, _a.c.id, _a, _COLUMNS, ())
SUMMARIES: Final = Listing(_a, _a.c.id, _a, _OF_SUMMARY, ())
_WITH_CAPACITY: Final = frozenset(
    {"available_slots", "occupied_slots", "hardware_metadata", "live_stat"}
    | {f"{name}_slots" for name in ("mem", "cpu", "gpu", "tpu")}
)
_WITH_OCCUPIED: Final = frozenset(
    {"occupied_slots"} | {f"used_{name}_slots" for name in ("mem", "cpu", "gpu", "tpu")}
)


async def load_page(
    connection: AsyncConnection, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`agent_list`."""
    wanted, fields = Wanted.read(args, selected(info)), selected(info, "items")
    page = await pages.load_page(connection, AGENTS, wanted, narrowed(args), _shown(fields))
    asked = arguments(info, "Agent", "compute_containers", "items")
    return {
        "items": await _with_containers(connection, page.rows, asked),
        "total_count": page.total,
    }


async def load_agents(
    connection: AsyncConnection, info: Info, where: Sequence[Condition]
) -> list[dict[str, Any]]:
    """`agents` and `agent`: by id."""
    statement = sa.select(*_shown(selected(info))).where(*where).order_by(_a.c.id)
    rows = (await connection.execute(statement.limit(AGENTS_MAX))).mappings().all()
    asked = arguments(info, "Agent", "compute_containers")
    return await _with_containers(connection, rows, asked)


async def load_summaries(
    connection: AsyncConnection, actor: Actor, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`agent_summary_list`: the nodes on which the actor may run something."""
    wanted, fields = Wanted.read(args, selected(info)), selected(info, "items")
    where = [*narrowed(args), *reachable(actor)]
    page = await pages.load_page(connection, SUMMARIES, wanted, where, _shown(fields))
    return {"items": page.rows, "total_count": page.total}


async def find_summary(
    connection: AsyncConnection, actor: Actor, info: Info, agent_id: str
) -> Row | None:
    where = [_a.c.id == agent_id, *reachable(actor)]
    found = await connection.execute(sa.select(*_shown(selected(info))).where(*where))
    return found.mappings().first()


def named(agent_id: str) -> list[Condition]:
    return [_a.c.id == agent_id]


def narrowed(args: Mapping[str, Any]) -> list[Condition]:
    """By `status` (a comma list) and `scaling_group`."""
    where: list[Condition] = []
    if args.get("status"):
        where.append(_STATUS.in_([word.strip().upper() for word in args["status"].split(",")]))
    if args.get("scaling_group"):
        where.append(_a.c.resource_group == args["scaling_group"])
    return where


def reachable(actor: Actor) -> list[Condition]:
    """Nodes of the resource groups that are open to the actor; of those of the domain, for its
    admin."""
    if actor.is_superadmin:
        return []
    return [_a.c.resource_group.in_(_select_groups(actor))]


def _select_groups(actor: Actor) -> sa.CompoundSelect[Any]:
    domains, projects, keypairs = (
        t.resource_group_domains,
        t.resource_group_projects,
        t.resource_group_keypairs,
    )
    if actor.is_domain_admin:
        mine = sa.select(t.projects.c.id).where(t.projects.c.domain_name == actor.domain)
        keys = (
            sa.select(t.keypairs.c.access_key)
            .join(t.users, t.users.c.id == t.keypairs.c.user_id)
            .where(t.users.c.domain_name == actor.domain)
        )
    else:
        members = t.project_members.c
        mine = sa.select(members.project_id).where(members.user_id == actor.user_id)
        keys = sa.select(sa.literal(actor.access_key))
    return sa.union(
        sa.select(domains.c.resource_group).where(domains.c.domain_name == actor.domain),
        sa.select(projects.c.resource_group).where(projects.c.project_id.in_(mine)),
        sa.select(keypairs.c.resource_group).where(keypairs.c.access_key.in_(keys)),
    )


def _shown(fields: set[str]) -> list[sa.ColumnElement[Any]]:
    shown: list[sa.ColumnElement[Any]] = [*_a.c]
    if fields & _WITH_CAPACITY:
        shown.append(_CAPACITY.label("capacity"))
    if fields & _WITH_OCCUPIED:
        shown.append(_OCCUPIED.label("occupied"))
    if "container_count" in fields:
        shown.append(_CONTAINERS.label("container_count"))
    return shown


async def _with_containers(
    connection: AsyncConnection, rows: Sequence[Row], asked: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if not asked or not rows:
        return [dict(row) for row in rows]
    statuses = [each.get("status") for each in asked]
    found = await load_of_agents(connection, [row["id"] for row in rows], statuses)
    return [{**row, "containers": found.get(row["id"], [])} for row in rows]


Amounts = Mapping[str, Decimal]


def _amounts(row: Row, name: str) -> dict[str, Decimal]:
    found: Mapping[str, str] = row[name] or {}
    return {slot: Decimal(text) for slot, text in sorted(found.items())}


def _available(row: Row) -> str:
    return _slots_text(_amounts(row, "capacity"))


def _occupied(row: Row) -> str:
    """Every slot that the node has, taken or not."""
    zero = dict.fromkeys(_amounts(row, "capacity"), Decimal(0))
    return _slots_text({**zero, **_amounts(row, "occupied")})


def _slots_text(amounts: Amounts) -> str:
    everywhere = {str(CPU): Decimal(0), str(MEM): Decimal(0)}
    return json_text({k: format_amount(v) for k, v in {**everywhere, **amounts}.items()})


def _count(kind: str, slot: str) -> Callable[[Row], float]:
    return lambda row: float(_amounts(row, kind).get(slot, 0))


def _mebibytes(kind: str) -> Callable[[Row], int]:
    return lambda row: int(_amounts(row, kind).get(MEM, 0)) // _MIB


def _live_stat(row: Row) -> str | None:
    """Of the node's last report; null before it has measured anything."""
    use = row["last_use"]
    if not use:
        return None
    whole = _amounts(row, "capacity")
    cores = whole.get(CPU, Decimal(0))
    memory = format_amount(whole[MEM]) if MEM in whole else None
    # The processor's use is of all cores together, 100 being all of them.
    busy = Decimal(str(use.get("cpu_percent", 0))) * cores
    node = {
        "cpu_util": metric(busy, format_amount(cores * 100), "percent"),
        "mem": metric(use.get("memory_bytes", 0), memory, "bytes"),
    }
    return json_text({"node": node, "devices": {"cpu_util": {}}})


def _hardware(row: Row) -> str:
    """Each kind of device, whether it can be used now, and how much there is of it."""
    is_well = row["engine_reachable"]
    kinds: dict[str, dict[str, str]] = {}
    for slot, amount in _amounts(row, "capacity").items():
        kinds.setdefault(slot.partition(".")[0], {})[slot] = format_amount(amount)
    return json_text(
        {
            kind: {
                "status": "healthy" if is_well else "unavailable",
                "status_info": None if is_well else row["engine_detail"],
                "metadata": {"architecture": row["architecture"], **amounts},
            }
            for kind, amounts in kinds.items()
        }
    )


def _local_config(row: Row) -> str:
    """What the node says of its own settings."""
    return json_text(
        {
            "agent": {
                "id": row["id"],
                "mode": row["backend"],
                "region": row["region"],
                "scaling-group": row["resource_group"],
                "rpc-listen-addr": row["address"],
            }
        }
    )


def shown_status(row: Row) -> str:
    status: str = row["status"]
    return ShownStatus.ALIVE.value if status == AgentStatus.SUSPECT.value else status


Field = Callable[[Row], Any]
SUMMARY_FIELDS: Final[Mapping[str, Field]] = {
    "id": lambda row: row["id"],
    "status": shown_status,
    "scaling_group": lambda row: row["resource_group"],
    "schedulable": lambda row: row["schedulable"],
    "available_slots": _available,
    "occupied_slots": _occupied,
    "architecture": lambda row: row["architecture"],
}
AGENT_FIELDS: Final[Mapping[str, Field]] = {
    **SUMMARY_FIELDS,
    "status_changed": lambda row: iso(row["status_changed_at"]),
    "region": lambda row: row["region"],
    "addr": lambda row: row["address"],
    "first_contact": lambda row: iso(row["first_contact"]),
    "lost_at": lambda row: iso(row["lost_at"]),
    "live_stat": _live_stat,
    "version": lambda row: row["version"],
    "compute_plugins": lambda row: json_text(row["plugins"]),
    "hardware_metadata": _hardware,
    # Nothing is ended here because of what it does on its node.
    "auto_terminate_abusing_kernel": lambda row: False,
    "local_config": _local_config,
    "container_count": lambda row: row["container_count"],
    "mem_slots": _mebibytes("capacity"),
    "cpu_slots": _count("capacity", CPU),
    "gpu_slots": _count("capacity", GPU),
    "tpu_slots": _count("capacity", TPU),
    "used_mem_slots": _mebibytes("occupied"),
    "used_cpu_slots": _count("occupied", CPU),
    "used_gpu_slots": _count("occupied", GPU),
    "used_tpu_slots": _count("occupied", TPU),
    "cpu_cur_pct": lambda row: float(row["last_use"].get("cpu_percent", 0)),
    "mem_cur_bytes": lambda row: float(row["last_use"].get("memory_bytes", 0)),
}
