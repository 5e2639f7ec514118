"""How far each address has been told of its session, in Postgres."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.events import EventName
from backendai.common.lifecycle import SESSION_FINAL
from backendai.manager.db import tables as t

from .model import EVENTS, News

_c: Final = t.callbacks.c
_NAMES: Final = ", ".join(f"'{name}'" for name in EVENTS)
_FINAL: Final = ", ".join(f"'{status}'" for status in sorted(SESSION_FINAL))

# The interpolated words are names of events and statuses, never input. Those that failed come last,
# so that one address which does not answer keeps no other waiting for long.
_LOAD_NEWS: Final = sa.text(f"""
SELECT c.session_id, s.callback_url, o.id, o.name, o.created_at, c.attempts
FROM callbacks AS c
JOIN sessions AS s ON s.id = c.session_id
CROSS JOIN LATERAL (
  SELECT id, name, created_at FROM outbox
  WHERE session_id = c.session_id AND id > c.told AND name IN ({_NAMES})
  ORDER BY id LIMIT 1
) AS o
WHERE c.next_at <= :now
ORDER BY c.attempts, c.next_at LIMIT :count
""")  # noqa: S608
_FORGET: Final = sa.text(f"""
DELETE FROM callbacks AS c
WHERE NOT EXISTS (
  SELECT FROM sessions AS s WHERE s.id = c.session_id AND s.status NOT IN ({_FINAL}))
AND NOT EXISTS (
  SELECT FROM outbox AS o
  WHERE o.session_id = c.session_id AND o.id > c.told AND o.name IN ({_NAMES}))
""")  # noqa: S608


async def load_news(conn: AsyncConnection, now: datetime, count: int) -> list[News]:
    """At most `count` that are due, the next one of each session."""
    found = await conn.execute(_LOAD_NEWS, {"now": now, "count": count})
    return [
        News(session_id, url, sequence, EventName(name), at, attempts)
        for session_id, url, sequence, name, at, attempts in found
    ]


async def note_told(conn: AsyncConnection, news: News, now: datetime) -> None:
    """Nothing more is to be said of this one."""
    await conn.execute(
        sa.update(t.callbacks)
        .where(_c.session_id == news.session_id, _c.told < news.sequence)
        .values(told=news.sequence, attempts=0, next_at=now)
    )


async def note_failed(conn: AsyncConnection, news: News, next_at: datetime) -> None:
    await conn.execute(
        sa.update(t.callbacks)
        .where(_c.session_id == news.session_id, _c.told < news.sequence)
        .values(attempts=news.attempts + 1, next_at=next_at)
    )


async def forget_told(conn: AsyncConnection) -> None:
    """Drop what is kept of sessions that have ended, once that was told too."""
    await conn.execute(_FORGET)
