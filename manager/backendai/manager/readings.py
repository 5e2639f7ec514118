"""The state of the cluster in Prometheus' terms, read from the database when somebody looks.

Each manager tells the same; whoever adds up takes the greatest of them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.metrics import Family, Reading, gauge
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.maintenance.presence import LIVE_SECONDS, before

_s, _a, _k = t.sessions.c, t.agents.c, t.agent_slots.c
_m, _l, _w = t.managers.c, t.leases.c, t.alerts.c
_LIVE: Final = _s.status.not_in(["TERMINATED", "CANCELLED"])
_WAITING: Final = _s.status == "PENDING"
_RULE: Final = sa.func.coalesce(_s.waiting["rule"].astext, "new")
_COUNT: Final = sa.func.count()
_HELD: Final = (
    sa.select(
        t.allocations.c.agent_id,
        t.allocations.c.slot,
        sa.func.sum(t.allocations.c.amount).label("held"),
    )
    .where(t.allocations.c.freed_at.is_(None))
    .group_by(t.allocations.c.agent_id, t.allocations.c.slot)
    .subquery()
)
_SESSIONS: Final = (
    sa.select(_s.status, _s.resource_group, _COUNT)
    .where(_LIVE)
    .group_by(_s.status, _s.resource_group)
)
_WAITS: Final = (
    sa.select(_RULE, _s.resource_group, _COUNT).where(_WAITING).group_by(_RULE, _s.resource_group)
)
_OLDEST: Final = (
    sa.select(
        _s.resource_group,
        sa.func.extract("epoch", sa.func.max(sa.func.now() - _s.status_changed_at)),
    )
    .where(_WAITING)
    .group_by(_s.resource_group)
)
_AGENTS: Final = sa.select(
    _a.status,
    sa.case((_a.schedulable, "yes"), else_="no"),
    _a.resource_group,
    _COUNT,
).group_by(_a.status, _a.schedulable, _a.resource_group)
_IN_USE: Final = sa.and_(_a.schedulable, _a.status == "ALIVE")
_SLOTS: Final = sa.select(
    _k.agent_id, _a.resource_group, _k.slot, _k.capacity, sa.func.coalesce(_HELD.c.held, 0), _IN_USE
).select_from(
    t.agent_slots.join(t.agents, _a.id == _k.agent_id).outerjoin(
        _HELD, sa.and_(_HELD.c.agent_id == _k.agent_id, _HELD.c.slot == _k.slot)
    )
)
# A manager that ended without a word is none; neither is what it held.
_MANAGERS: Final = sa.select(_COUNT).where(_m.beat_at >= before(LIVE_SECONDS))
_LEASES: Final = sa.select(_l.name, sa.case((_l.expires_at > sa.func.now(), 1), else_=0))
_ALERTS: Final = (
    sa.select(_w.kind, _COUNT)
    .where(_w.began_at.is_not(None), _w.ended_at.is_(None))
    .group_by(_w.kind)
)
_UNTOLD: Final = sa.select(_COUNT).where(t.outbox.c.relayed_at.is_(None))


def reading_of(database: Database) -> Reading:
    async def read() -> list[Family]:
        return await database.read(_load)

    return read


async def _load(conn: AsyncConnection) -> list[Family]:
    slots = await _rows(conn, _SLOTS)
    labels = ["agent", "resource_group", "slot"]
    return [
        gauge(
            "sessions",
            "Sessions that have not ended",
            ["status", "resource_group"],
            _labelled(await _rows(conn, _SESSIONS)),
        ),
        gauge(
            "sessions_waiting",
            "Sessions that wait, by the rule that makes them",
            ["rule", "resource_group"],
            _labelled(await _rows(conn, _WAITS)),
        ),
        gauge(
            "sessions_waiting_seconds_max",
            "How long the first of them has waited",
            ["resource_group"],
            _labelled(await _rows(conn, _OLDEST)),
        ),
        gauge(
            "agents",
            "Nodes",
            ["status", "schedulable", "resource_group"],
            _labelled(await _rows(conn, _AGENTS)),
        ),
        gauge(
            "slots",
            "What nodes have: held by sessions, free to be given, or free where nothing starts now",
            ["resource_group", "slot", "state"],
            _by_state(slots),
        ),
        gauge("managers", "Managers that live", [], _labelled(await _rows(conn, _MANAGERS))),
        gauge(
            "lease_held",
            "Whether a manager does what one manager at a time does",
            ["work"],
            _labelled(await _rows(conn, _LEASES)),
        ),
        gauge("alerts", "Open alerts", ["kind"], _labelled(await _rows(conn, _ALERTS))),
        gauge(
            "events_untold", "Events not announced yet", [], _labelled(await _rows(conn, _UNTOLD))
        ),
        gauge("slot_capacity", "What nodes have", labels, _labelled([row[:4] for row in slots])),
        gauge(
            "slot_held",
            "What sessions hold of it",
            labels,
            _labelled([(*row[:3], row[4]) for row in slots]),
        ),
    ]


def _by_state(slots: Sequence[tuple[Any, ...]]) -> list[tuple[list[str], float]]:
    """PURE. What a node that is over its capacity holds is not taken off another's."""
    amounts: Counter[tuple[str, str, str]] = Counter()
    for _agent, group, slot, capacity, held, is_in_use in slots:
        amounts[group, slot, "held"] += held
        amounts[group, slot, "free" if is_in_use else "away"] += max(capacity - held, 0)
    return [(list(key), float(amount)) for key, amount in sorted(amounts.items())]


async def _rows(conn: AsyncConnection, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await conn.execute(statement)]


def _labelled(rows: Sequence[Sequence[Any]]) -> list[tuple[list[str], float]]:
    return [([str(text) for text in row[:-1]], float(row[-1])) for row in rows]
