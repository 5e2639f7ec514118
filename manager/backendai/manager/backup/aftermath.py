"""What restored rows must not do: run old work, end sessions for the time that nobody counted.

Everything else in them is a level that managers compare with what the nodes report.
"""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.idle.store import RUNNING, extend

INTERRUPTED: Final = "It was interrupted: the control plane was restored from a backup."
# Nobody works on them, and nobody who waits for them expects them to begin now.
_FAIL_TASKS: Final = sa.text(
    "UPDATE tasks SET status = 'failed', message = :message, ended_at = now()"
    " WHERE status IN ('pending', 'running')"
)
# Who hears of an event later than all others would take it for news.
_CALM_OUTBOX: Final = sa.text("UPDATE outbox SET relayed_at = now() WHERE relayed_at IS NULL")
# The time that passed since is nobody's delay: what was just starting may well be running.
_SHIFT_DEADLINES: Final = sa.text(
    "UPDATE kernels SET deadline_at = deadline_at + (now() - CAST(:taken_at AS timestamptz))"
    " WHERE deadline_at IS NOT NULL"
)
# Nothing is placed on a node that has not been heard since.
_DOUBT_AGENTS: Final = sa.text(
    "UPDATE agents SET status = 'SUSPECT', status_changed_at = now() WHERE status = 'ALIVE'"
)
_RUNNING: Final = sa.text("SELECT id, now() AS now FROM sessions WHERE status = ANY(:statuses)")


async def settle(conn: AsyncConnection, taken_at: datetime) -> None:
    """Make rows of the moment `taken_at` fit for now, in the transaction that inserts them."""
    await conn.execute(_FAIL_TASKS, {"message": INTERRUPTED})
    await conn.execute(_CALM_OUTBOX)
    await conn.execute(_SHIFT_DEADLINES, {"taken_at": taken_at})
    await conn.execute(_DOUBT_AGENTS)
    # Since when nobody used them was noted in rows that are lost.
    for row in (await conn.execute(_RUNNING, {"statuses": list(RUNNING)})).all():
        await extend(conn, row.id, row.now)
