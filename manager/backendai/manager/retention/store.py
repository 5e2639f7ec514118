"""Removal of ended sessions with everything that hangs on them; what they used stays on record."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.accounts.erasure import plan_erasure
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.sessions.store import FINAL_WORDS

# Few enough that the transaction is short beside a running manager.
BATCH: Final = 500
_s: Final = t.sessions.c


@dataclass(frozen=True, slots=True)
class OldHistory:
    """`oldest` is the end of the session that ended first."""

    sessions: int
    kernels: int
    oldest: datetime | None


async def measure(conn: AsyncConnection, before: datetime) -> OldHistory:
    """What `clear` would remove."""
    ended = sa.func.coalesce(_s.ended_at, _s.status_changed_at)
    counted = sa.select(sa.func.count(), sa.func.min(ended)).where(_is_old(before))
    sessions, oldest = (await conn.execute(counted)).one()
    old = sa.select(_s.id).where(_is_old(before))
    kernels = sa.select(sa.func.count()).where(t.kernels.c.session_id.in_(old))
    return OldHistory(sessions, int(await conn.scalar(kernels) or 0), oldest)


async def clear(database: Database, before: datetime) -> dict[str, int]:
    """Remove sessions that ended earlier, some at a time. Returns how many rows of which table.

    A session on which a live one depends is kept until that is over too.
    """
    counts: Counter[str] = Counter()
    while True:
        removed = await database.transact(lambda conn: _clear_some(conn, before))
        if not removed:
            return dict(counts)
        counts.update(removed)


async def _clear_some(conn: AsyncConnection, before: datetime) -> dict[str, int]:
    chosen = sa.select(_s.id).where(_is_old(before)).limit(BATCH).with_for_update(skip_locked=True)
    ids = list(await conn.scalars(chosen))
    if not ids:
        return {}
    counts: Counter[str] = Counter()
    relayed = t.outbox.c.session_id.in_(ids) & t.outbox.c.relayed_at.is_not(None)
    loose: list[tuple[sa.Table, sa.ColumnElement[bool]]] = [
        (t.outbox, relayed),
        (t.idempotency, t.idempotency.c.session_id.in_(ids)),
        (t.circuits, t.circuits.c.session_id.in_(ids)),
    ]
    for table, where in loose:
        counts[table.name] += (await conn.execute(sa.delete(table).where(where))).rowcount
    for each in plan_erasure(t.sessions, _s.id.in_(ids)):
        statement: Any = sa.delete(each.table).where(each.where)
        if each.column is not None:
            statement = sa.update(each.table).where(each.where).values({each.column: None})
        counts[each.table.name] += (await conn.execute(statement)).rowcount
    return +counts


def _is_old(before: datetime) -> sa.ColumnElement[bool]:
    needed, other = t.session_dependencies.c, t.sessions.alias("other")
    is_needed = (
        sa.exists()
        .where(needed.depends_on == _s.id, other.c.id == needed.session_id)
        .where(other.c.status.not_in(FINAL_WORDS))
    )
    ended = sa.func.coalesce(_s.ended_at, _s.status_changed_at)
    return sa.and_(_s.status.in_(FINAL_WORDS), ended < before, ~is_needed)
