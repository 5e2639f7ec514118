"""Intervals of what was held, from live rows and from the records of rows that are gone."""

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t

from .model import Held, Span, to_millionths

# A history may be long: what is read of it at once is little, and decoded beside the event loop.
_PAGE_ROWS: Final = 500
_SLOTS: Final = msgspec.json.Decoder(dict[str, str])
# One row for what was taken and freed together. Null filters let everything through.
_HELD: Final = sa.text("""
SELECT held.kernel_id, held.generation, held.allocated_at, held.freed_at, held.slots,
  told.session_id, told.project_id, told.user_id, CAST(told.facts AS text) AS facts
FROM (
  SELECT a.kernel_id, a.generation, a.allocated_at, a.freed_at,
    CAST(jsonb_object_agg(a.slot, CAST(a.amount AS text)) AS text) AS slots
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
  CAST(jsonb_object_agg(r.slot, CAST(r.amount AS text)) AS text),
  r.session_id, r.project_id, r.user_id, CAST(r.facts AS text)
FROM usage_records AS r
WHERE r.allocated_at < :until AND r.freed_at > :since
  AND (:project_ids IS NULL OR r.project_id = ANY (:project_ids))
  AND (:user_id IS NULL OR r.user_id = :user_id)
GROUP BY r.kernel_id, r.generation, r.allocated_at, r.freed_at, r.session_id, r.project_id,
  r.user_id, r.facts
""").bindparams(
    sa.bindparam("project_ids", type_=ARRAY(UUID(as_uuid=True))),
    sa.bindparam("user_id", type_=UUID(as_uuid=True)),
)


async def load_held(
    conn: AsyncConnection,
    span: Span,
    *,
    project_ids: Sequence[uuid.UUID] | None = None,
    user_id: uuid.UUID | None = None,
) -> list[Held]:
    """Every interval that touches `span`, of these projects or of this user, None of all.

    Needs a transaction, since it reads with a cursor.
    """
    values = {
        "since": span.since,
        "until": span.until,
        "project_ids": None if project_ids is None else list(project_ids),
        "user_id": user_id,
    }
    found: list[Held] = []
    options = {"yield_per": _PAGE_ROWS}
    async with conn.stream(_HELD, values, execution_options=options) as rows:
        async for page in rows.partitions(_PAGE_ROWS):
            found += await asyncio.to_thread(_decode, page)
    return found


async def list_projects_of(conn: AsyncConnection, domain: str) -> set[uuid.UUID]:
    of_domain = t.projects.c.domain_name == domain
    return set(await conn.scalars(sa.select(t.projects.c.id).where(of_domain)))


async def is_known(conn: AsyncConnection, project_id: uuid.UUID) -> bool:
    """Whether there is such a project, or was one that used something."""
    live = sa.exists().where(t.projects.c.id == project_id)
    gone = sa.exists().where(t.usage_records.c.project_id == project_id)
    return bool(await conn.scalar(sa.select(sa.or_(live, gone))))


def _decode(rows: Iterable[Any]) -> list[Held]:
    return [_held(row) for row in rows]


def _held(row: Any) -> Held:
    return Held(
        kernel_id=str(row.kernel_id),
        generation=row.generation,
        begun=row.allocated_at,
        ended=row.freed_at,
        amounts={slot: to_millionths(amount) for slot, amount in _SLOTS.decode(row.slots).items()},
        session_id=str(row.session_id),
        project_id=_shared(row.project_id),
        user_id=_shared(row.user_id),
        facts=row.facts,
    )


@lru_cache(maxsize=4096)
def _shared(one: uuid.UUID) -> uuid.UUID:
    """The same object for the same id."""
    return one
