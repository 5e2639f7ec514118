"""Circuits in Postgres, always within a Scope; app proxies end the streams of what is closed."""

import uuid
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import CircuitNotFound
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope

from .model import Circuit

LISTED_MAX: Final = 1000
_c: Final = t.circuits.c
_LIVE: Final = sa.table("live_circuits", *(sa.column(field.name) for field in fields(Circuit)))
_USES: Final = sa.text(
    "SELECT c.session_id, max(c.used_at) AS used_at FROM circuits c"
    " JOIN sessions s ON s.id = c.session_id WHERE c.used_at > :since GROUP BY 1"
)


async def list_live(
    conn: AsyncConnection, scope: Scope, session_id: uuid.UUID | None
) -> list[Circuit]:
    """The newest first, all or those of one session."""
    where = _conditions(scope, _LIVE.c.owner)
    if session_id is not None:
        where.append(_LIVE.c.session_id == session_id)
    statement = sa.select(_LIVE).where(*where).order_by(_LIVE.c.created_at.desc(), _LIVE.c.id)
    found = await conn.execute(statement.limit(LISTED_MAX))
    return [Circuit(**row) for row in found.mappings()]


async def close_one(conn: AsyncConnection, scope: Scope, circuit_id: uuid.UUID, why: str) -> None:
    """Raises CircuitNotFound, the same for those of others and for what is closed already."""
    if not await _close(conn, [_c.id == circuit_id, *_conditions(scope, _c.owner)], why):
        raise CircuitNotFound


async def close_of_session(
    conn: AsyncConnection, session_id: uuid.UUID, why: str, app: str | None = None
) -> int:
    """All that lead into a session, or into one app of it. Returns how many."""
    where = [_c.session_id == session_id]
    return await _close(conn, where if app is None else [*where, _c.app == app], why)


async def list_uses(conn: AsyncConnection, since: datetime) -> dict[uuid.UUID, datetime]:
    """The sessions that were used through circuits later than `since`, and when last."""
    found = await conn.execute(_USES, {"since": since})
    return {row.session_id: row.used_at for row in found}


async def _close(conn: AsyncConnection, where: Sequence[sa.ColumnElement[bool]], why: str) -> int:
    values: dict[str, Any] = {"closed_at": sa.func.now(), "close_reason": why}
    closing = sa.update(t.circuits).where(_c.closed_at.is_(None), *where).values(values)
    return (await conn.execute(closing)).rowcount


def _conditions(scope: Scope, owner: sa.ColumnElement[Any]) -> list[sa.ColumnElement[bool]]:
    """The WHERE that keeps tenants apart."""
    if scope.domain is not None:
        of_domain = sa.select(t.users.c.id).where(t.users.c.domain_name == scope.domain)
        return [owner.in_(of_domain)]
    return [] if scope.user_id is None else [owner == scope.user_id]
