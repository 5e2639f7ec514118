"""Writing placements: agents locked, sums and quotas looked at again, kernels moved.

And the reasons of those who wait, where they changed.

One lock, on a row of its own, lets only one manager write placements at a time; so the quotas,
which belong to no agent, cannot be passed by two at once.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.failpoints import failpoint
from backendai.common.ids import SessionId
from backendai.common.lifecycle import KernelStatus
from backendai.manager.db import tables as t
from backendai.manager.lifecycle.model import MovedKernel, is_spread
from backendai.manager.lifecycle.moves import StoredSession, lock_stored, write_moves

from .admit import Candidate, admit, moves_of
from .load import load_quotas, lock_nodes, scopes_of
from .placement import Placement
from .reasons import WaitReason
from .view import Ask, units_of

APPLY_LOCK: Final = "plan-apply"

_WRITE_WAITS: Final = sa.text("""
UPDATE sessions SET waiting = x.waiting
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, waiting jsonb)
WHERE sessions.id = x.id AND sessions.id IN (
  SELECT id FROM sessions
  WHERE status = 'PENDING' AND id IN (
    SELECT id FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS y(id uuid)
  )
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
""")


async def apply_placements(
    conn: AsyncConnection, placements: Sequence[Placement], now: datetime
) -> tuple[list[MovedKernel], list[Placement]]:
    """Write what still holds; returns the moved kernels and the placements that do not hold."""
    await lock_planning(conn)
    agent_ids = sorted({kernel.agent_id for one in placements for kernel in one.kernels})
    nodes = await lock_nodes(conn, agent_ids)
    locked = {
        SessionId(one.session.id): one
        for one in await lock_stored(conn, [one.session_id for one in placements])
    }
    candidates = {key: _candidate(key, one) for key, one in locked.items()}
    scopes = {scope for candidate in candidates.values() for scope in candidate.scopes}
    admitted, refused = admit(placements, candidates, nodes, await load_quotas(conn, scopes))
    await failpoint("manager.plan.before_apply")
    rows = [(one.session, one.kernels) for one in locked.values()]
    return await write_moves(conn, rows, moves_of(admitted), now), refused


async def lock_planning(conn: AsyncConnection) -> None:
    """Keep placements from being written until this transaction ends."""
    statement = upsert(t.leases).values(
        name=APPLY_LOCK, holder="", epoch=0, expires_at=sa.func.now()
    )
    # The update changes nothing: it is there for the lock that it takes, in one round trip.
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"epoch": t.leases.c.epoch})
    )


def _candidate(session_id: SessionId, locked: StoredSession) -> Candidate:
    rows = locked.kernels
    waiting = {row.id: row.revision for row in rows if row.status is KernelStatus.PENDING}
    slots = {row.id: units_of(row.requested_slots) for row in rows}
    scopes = scopes_of(locked.session.access_key, locked.project_id, locked.domain_name)
    return Candidate(session_id, scopes, waiting, slots, is_spread(locked.session))


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
