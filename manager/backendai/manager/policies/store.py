"""Limits that only the database can tell the state of, and the choice of a resource group."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import QuotaExceeded, ResourceGroupNotFound
from backendai.common.slots import ResourceSlots
from backendai.manager.db import tables as t

from .model import PendingLimit

_LOCK_KEYPAIR: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
# Amounts are exact texts.
_PENDING: Final = sa.text("""
WITH waiting AS (SELECT id FROM sessions WHERE access_key = :access_key AND status = 'PENDING')
SELECT (SELECT count(*) FROM waiting) AS sessions, (
  SELECT jsonb_object_agg(slot, CAST(amount AS text)) FROM (
    SELECT wish.key AS slot, sum(CAST(wish.value AS numeric)) AS amount
    FROM kernels, jsonb_each_text(kernels.requested_slots) AS wish
    WHERE kernels.session_id IN (SELECT id FROM waiting) AND kernels.status = 'PENDING'
    GROUP BY wish.key
  ) AS sums
) AS slots
""").columns(slots=JSONB)


def choose_resource_group(allowed: list[str], wanted: str | None) -> str:
    """The wanted group, or the first allowed one. Raises ResourceGroupNotFound. Pure."""
    if wanted is None:
        if not allowed:
            raise ResourceGroupNotFound("You may use none; an administrator can allow one.")
        return allowed[0]
    if wanted not in allowed:
        raise ResourceGroupNotFound(
            f"{wanted!r} is none that you may use", {"allowed": allowed, "given": wanted}
        )
    return wanted


async def list_slot_names(connection: AsyncConnection, group: str | None = None) -> set[str]:
    """Every slot that some node has ever offered, or some node of a resource group."""
    statement = sa.select(t.agent_slots.c.slot).distinct()
    if group is not None:
        statement = statement.join(t.agents, t.agents.c.id == t.agent_slots.c.agent_id).where(
            t.agents.c.resource_group == group
        )
    return set(await connection.scalars(statement))


async def guard_pending(
    connection: AsyncConnection, access_key: str, limit: PendingLimit, asked: ResourceSlots
) -> None:
    """Let a session that asks for `asked` in all of its kernels join the queue, or raise
    QuotaExceeded.

    For the transaction that stores the session: until it ends, no other one of this keypair passes
    here, so two at once cannot both take the last place.
    """
    if limit.is_none:
        return
    await connection.execute(_LOCK_KEYPAIR, {"key": f"pending:{access_key}"})
    # A statement of its own: what it sees must have begun after the lock was taken.
    found = (await connection.execute(_PENDING, {"access_key": access_key})).one()
    exceeded = limit.exceeded_by(found.sessions, ResourceSlots.parse(found.slots or {}), asked)
    if exceeded:
        raise QuotaExceeded("Too much of yours waits in the queue already.", exceeded)
