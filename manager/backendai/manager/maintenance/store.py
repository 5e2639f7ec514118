"""The cluster's status: one row at most. None means that it runs."""

import uuid
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.lifecycle import SESSION_LIVE, SessionStatus
from backendai.manager.db import tables as t

from .model import ClusterStatus, Standing

_c: Final = t.cluster_status.c
_s: Final = t.sessions.c
# A session that waits in the queue has nothing anywhere, and may wait for a frozen cluster.
_ACTIVE: Final = sorted(set(SESSION_LIVE) - {SessionStatus.PENDING})
_STATUS: Final = sa.select(_c.status)
_COUNT: Final = sa.select(sa.func.count()).where(_s.status.in_(_ACTIVE)).scalar_subquery()


async def load_status(conn: AsyncConnection) -> ClusterStatus:
    return ClusterStatus(await conn.scalar(_STATUS) or ClusterStatus.RUNNING)


async def load_standing(conn: AsyncConnection) -> Standing:
    row = (await conn.execute(sa.select(_STATUS.scalar_subquery(), _COUNT))).one()
    return Standing(ClusterStatus(row[0] or ClusterStatus.RUNNING), row[1])


async def write_status(conn: AsyncConnection, status: ClusterStatus, changed_by: str) -> bool:
    """Whether that changed anything."""
    values = {"status": status.value, "changed_by": changed_by, "changed_at": sa.func.now()}
    before = await load_status(conn)
    statement = upsert(t.cluster_status).values(is_only=True, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["is_only"], set_=values))
    return before is not status


async def list_active(conn: AsyncConnection) -> list[uuid.UUID]:
    """The sessions that hold room, or are just getting or leaving it."""
    return list(await conn.scalars(sa.select(_s.id).where(_s.status.in_(_ACTIVE)).order_by(_s.id)))
