"""Error logs in Postgres, always within a Scope."""

import uuid
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import ErrorLogNotFound
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope

from .model import ErrorLog, NewErrorLog, Page, Severity

# A user's oldest ones make room for new ones.
KEPT_PER_USER: Final = 1000
_e: Final = t.error_logs.c
_KEEP: Final = sa.text("""
DELETE FROM error_logs WHERE id IN (
  SELECT id FROM error_logs WHERE user_id = :user_id ORDER BY created_at DESC, id OFFSET :kept)
""")


async def insert_log(
    conn: AsyncConnection, log_id: uuid.UUID, user_id: uuid.UUID, new: NewErrorLog
) -> None:
    values = {
        "id": log_id,
        "user_id": user_id,
        "severity": new.severity.value,
        "source": new.source,
        "message": new.message,
        "context_lang": new.context_lang,
        "context_env": dict(new.context_env),
        "request_url": new.request_url,
        "request_status": new.request_status,
        "traceback": new.traceback,
    }
    await conn.execute(sa.insert(t.error_logs).values(**values))
    await conn.execute(_KEEP, {"user_id": user_id, "kept": KEPT_PER_USER})


async def load_page(conn: AsyncConnection, scope: Scope, size: int, number: int) -> Page:
    """Page `number` (from 1) of what has not been cleared, the newest first."""
    where = [~_e.is_cleared, *_conditions(scope)]
    count = await conn.scalar(sa.select(sa.func.count()).select_from(t.error_logs).where(*where))
    found = await conn.execute(
        sa.select(t.error_logs)
        .where(*where)
        .order_by(_e.created_at.desc(), _e.id)
        .limit(size)
        .offset(size * (number - 1))
    )
    return Page(tuple(_log(row) for row in found), int(count or 0))


async def mark_read(conn: AsyncConnection, page: Page) -> None:
    ids = [one.id for one in page.logs]
    await conn.execute(sa.update(t.error_logs).where(_e.id.in_(ids)).values(is_read=True))


async def clear_log(conn: AsyncConnection, scope: Scope, log_id: uuid.UUID) -> None:
    """Show it to nobody any more. Raises ErrorLogNotFound, the same for those of others."""
    cleared = await conn.execute(
        sa.update(t.error_logs)
        .where(_e.id == log_id, ~_e.is_cleared, *_conditions(scope))
        .values(is_cleared=True)
        .returning(_e.id)
    )
    if cleared.first() is None:
        raise ErrorLogNotFound


def _conditions(scope: Scope) -> list[sa.ColumnElement[bool]]:
    """The WHERE that keeps tenants apart."""
    if scope.domain is not None:
        of_domain = sa.select(t.users.c.id).where(t.users.c.domain_name == scope.domain)
        return [_e.user_id.in_(of_domain)]
    return [] if scope.user_id is None else [_e.user_id == scope.user_id]


def _log(row: Any) -> ErrorLog:
    told = NewErrorLog(
        severity=Severity(row.severity),
        source=row.source,
        message=row.message,
        context_lang=row.context_lang,
        context_env=row.context_env,
        request_url=row.request_url,
        request_status=row.request_status,
        traceback=row.traceback,
    )
    return ErrorLog(row.id, row.user_id, row.is_read, row.created_at, told)
