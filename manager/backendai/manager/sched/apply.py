"""Writing placements: agents locked, sums and quotas looked at again, kernels moved.

And the reasons of those who wait, where they changed.

One lock, on a row of its own, lets only one manager write placements at a time; so the quotas,
which belong to no agent, cannot be passed by two at once.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.failpoints import failpoint
from backendai.common.ids import KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelStatus
from backendai.manager.agents.store import load_capacities, load_occupied, lock_agents
from backendai.manager.db import tables as t
from backendai.manager.lifecycle.model import MovedKernel
from backendai.manager.lifecycle.moves import move_kernels

from .admit import Candidate, admit, moves_of
from .load import load_quotas, node_of, scopes_of
from .plan import Placement
from .reasons import WaitReason
from .view import Ask, units_of

APPLY_LOCK: Final = "plan-apply"

_WRITE_WAITS: Final = sa.text("""
UPDATE sessions SET waiting = x.waiting
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, waiting jsonb)
WHERE sessions.id = x.id AND sessions.status = 'PENDING'
""")


async def apply_placements(
    conn: AsyncConnection, placements: Sequence[Placement], now: datetime
) -> tuple[list[MovedKernel], list[Placement]]:
    """Write what still holds; returns the moved kernels and the placements that do not hold."""
    await _lock_planning(conn)
    agent_ids = sorted({kernel.agent_id for one in placements for kernel in one.kernels})
    nodes = await lock_agents(conn, agent_ids)
    occupied = await load_occupied(conn, agent_ids)
    capacities = await load_capacities(conn)
    candidates = await _lock_candidates(conn, [one.session_id for one in placements])
    scopes = {scope for candidate in candidates.values() for scope in candidate.scopes}
    admitted, refused = admit(
        placements,
        candidates,
        [node_of(node, capacities.get(node.id, {}), occupied.get(node.id, {})) for node in nodes],
        await load_quotas(conn, scopes),
    )
    await failpoint("manager.plan.before_apply")
    return await move_kernels(conn, moves_of(admitted), now), refused


async def _lock_planning(conn: AsyncConnection) -> None:
    statement = upsert(t.leases).values(
        name=APPLY_LOCK, holder="", epoch=0, expires_at=sa.func.now()
    )
    # The update changes nothing: it is there for the lock that it takes, in one round trip.
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"epoch": t.leases.c.epoch})
    )


async def _lock_candidates(
    conn: AsyncConnection, session_ids: Sequence[SessionId]
) -> dict[SessionId, Candidate]:
    s, k = t.sessions.c, t.kernels.c
    sessions = await conn.execute(
        sa.select(s.id, s.access_key, s.project_id, s.domain_name)
        .where(s.id.in_(session_ids))
        .order_by(s.id)
        .with_for_update()
    )
    found = await conn.execute(
        sa.select(k.id, k.session_id, k.revision, k.status, k.requested_slots).where(
            k.session_id.in_(session_ids)
        )
    )
    rows: dict[Any, list[Any]] = {}
    for row in found:
        rows.setdefault(row.session_id, []).append(row)
    return {
        SessionId(one.id): _candidate(
            SessionId(one.id),
            scopes_of(one.access_key, one.project_id, one.domain_name),
            rows.get(one.id, []),
        )
        for one in sessions
    }


def _candidate(
    session_id: SessionId, scopes: tuple[tuple[str, str], ...], rows: Sequence[Any]
) -> Candidate:
    waiting = {
        KernelId(row.id): Revision(row.revision)
        for row in rows
        if row.status == KernelStatus.PENDING.value
    }
    slots = {KernelId(row.id): units_of(row.requested_slots) for row in rows}
    return Candidate(session_id, scopes, waiting, slots)


async def write_waits(
    conn: AsyncConnection, waits: Sequence[tuple[Ask, WaitReason]], now: datetime
) -> int:
    """Record why sessions wait, where that changed; how many were written."""
    changed = [(ask, reason) for ask, reason in waits if reason.digest != ask.waiting_digest]
    rows = [
        {
            "id": str(ask.session_id),
            "waiting": {**reason.to_json(), "at": now.isoformat(), "digest": reason.digest},
        }
        for ask, reason in changed
    ]
    if rows:
        await conn.execute(_WRITE_WAITS, {"rows": json.dumps(rows)})
    return len(rows)
