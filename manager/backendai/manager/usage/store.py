"""Intervals of what was held, from live rows and from the records of rows that are gone."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t

from .model import Held, Span, to_millionths

# One row for what was taken and freed together. Null filters let everything through.
_HELD: Final = (
    sa.text("""
SELECT held.kernel_id, held.generation, held.allocated_at, held.freed_at, held.slots,
  told.session_id, told.project_id, told.user_id, told.facts
FROM (
  SELECT a.kernel_id, a.generation, a.allocated_at, a.freed_at,
    jsonb_object_agg(a.slot, CAST(a.amount AS text)) AS slots
  FROM allocations AS a
  JOIN kernels AS k ON k.id = a.kernel_id
  JOIN sessions AS s ON s.id = k.session_id
  WHERE a.allocated_at < :until AND (a.freed_at IS NULL OR a.freed_at > :since)
    AND (:project_ids IS NULL OR s.project_id = ANY (:project_ids))
    AND (:user_id IS NULL OR s.user_id = :user_id)
  GROUP BY a.kernel_id, a.generation, a.allocated_at, a.freed_at
) AS held JOIN usage_facts AS told ON told.kernel_id = held.kernel_id
UNION ALL
SELECT r.kernel_id, r.generation, r.allocated_at, r.freed_at,
  jsonb_object_agg(r.slot, CAST(r.amount AS text)),
  r.session_id, r.project_id, r.user_id, r.facts
FROM usage_records AS r
WHERE r.allocated_at < :until AND r.freed_at > :since
  AND (:project_ids IS NULL OR r.project_id = ANY (:project_ids))
  AND (:user_id IS NULL OR r.user_id = :user_id)
GROUP BY r.kernel_id, r.generation, r.allocated_at, r.freed_at, r.session_id, r.project_id,
  r.user_id, r.facts
""")
    .bindparams(
        sa.bindparam("project_ids", type_=ARRAY(UUID(as_uuid=True))),
        sa.bindparam("user_id", type_=UUID(as_uuid=True)),
    )
    .columns(slots=JSONB, facts=JSONB)
)


async def load_held(
    conn: AsyncConnection,
    span: Span,
    *,
    project_ids: Sequence[uuid.UUID] | None = None,
    user_id: uuid.UUID | None = None,
) -> list[Held]:
    """Every interval that touches `span`, of these projects or of this user, None of all."""
    values = {
        "since": span.since,
        "until": span.until,
        "project_ids": None if project_ids is None else list(project_ids),
        "user_id": user_id,
    }
    return [_held(row) for row in await conn.execute(_HELD, values)]


async def is_known(conn: AsyncConnection, project_id: uuid.UUID) -> bool:
    """Whether there is such a project, or was one that used something."""
    live = sa.exists().where(t.projects.c.id == project_id)
    gone = sa.exists().where(t.usage_records.c.project_id == project_id)
    return bool(await conn.scalar(sa.select(sa.or_(live, gone))))


def _held(row: Any) -> Held:
    return Held(
        kernel_id=row.kernel_id,
        generation=row.generation,
        begun=row.allocated_at,
        ended=row.freed_at,
        amounts={slot: to_millionths(amount) for slot, amount in row.slots.items()},
        session_id=row.session_id,
        project_id=row.project_id,
        user_id=row.user_id,
        facts=row.facts,
    )
