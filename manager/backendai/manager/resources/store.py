"""Presets, and what the sessions of one user hold in each resource group."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t
from backendai.manager.sched.view import Units, to_units

from .model import Preset

PRESETS_MAX: Final = 1000
_r: Final = t.resource_presets.c


async def load_presets(conn: AsyncConnection) -> list[Preset]:
    statement = sa.select(_r.name, _r.resource_slots, _r.shared_memory)
    found = await conn.execute(statement.order_by(_r.name).limit(PRESETS_MAX))
    return [Preset(*row) for row in found]


async def load_own_use(
    conn: AsyncConnection, user_id: UUID, groups: Sequence[str]
) -> dict[str, Units]:
    """The sums of the live allocations of a user's sessions by resource group and slot."""
    held, kernels, sessions = t.allocations, t.kernels, t.sessions
    statement = (
        sa.select(sessions.c.resource_group, held.c.slot, sa.func.sum(held.c.amount))
        .select_from(
            held.join(kernels, kernels.c.id == held.c.kernel_id).join(
                sessions, sessions.c.id == kernels.c.session_id
            )
        )
        .where(
            held.c.freed_at.is_(None),
            sessions.c.user_id == user_id,
            sessions.c.resource_group.in_(groups),
        )
        .group_by(sessions.c.resource_group, held.c.slot)
    )
    use: dict[str, dict[str, int]] = {}
    found: Any = await conn.execute(statement)
    for group, slot, amount in found:
        use.setdefault(group, {})[slot] = to_units(slot, amount)
    return dict(use)
