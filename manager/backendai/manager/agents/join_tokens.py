"""Tokens by which nodes join, known by their digests only, and what one is good for."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.contracts.joining import TOKEN_PREFIX
from backendai.common.faults import JoinTokenNotFound, ResourceGroupNotFound
from backendai.common.ids import AgentId
from backendai.manager.db import tables as t

# Not to be guessed, whatever the limit on tries.
_TOKEN_BYTES: Final = 32
# After it expired; for so long whoever comes with it is told so.
KEPT_DAYS: Final = 30
_j: Final = t.join_tokens.c
_NOW: Final = sa.func.clock_timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinTokenRow:
    """`used_by` and `public_key` are of the node that used it; `is_expired` by the database's
    clock, which all managers share."""

    id: uuid.UUID
    resource_group: str
    expires_at: datetime
    is_expired: bool
    used_by: str | None
    public_key: str | None


def make_token() -> str:
    return f"{TOKEN_PREFIX}{secrets.token_urlsafe(_TOKEN_BYTES)}"


def digest_of(token: str) -> bytes:
    """PURE. A token is random enough to need no salt."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def refusal_of(row: JoinTokenRow | None, agent_id: AgentId, public_key: str) -> str:
    """Why a node may not join by the token; empty when it may. PURE.

    The node that used it may ask again, as it does after a crash: it proves the same key.
    """
    if row is None:
        return "No such token: copy it whole, or have a new one made"
    if row.used_by is not None and (row.used_by, row.public_key) != (agent_id, public_key):
        return f"The token was used by {row.used_by}: have a new one made, each is for one node"
    if row.is_expired:
        return f"The token expired at {row.expires_at.isoformat()}: have a new one made"
    return ""


async def insert(
    conn: AsyncConnection, token_id: uuid.UUID, token: str, resource_group: str, seconds: int
) -> datetime:
    """When it expires. Raises ResourceGroupNotFound."""
    statement = (
        sa.insert(t.join_tokens)
        .values(
            id=token_id,
            token_hash=digest_of(token),
            resource_group=resource_group,
            expires_at=_NOW + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds),
        )
        .returning(_j.expires_at)
    )
    try:
        made: datetime = (await conn.execute(statement)).scalar_one()
    except IntegrityError as error:
        raise ResourceGroupNotFound(resource_group) from error
    return made


async def find(
    conn: AsyncConnection, token: str, *, is_locked: bool = False
) -> JoinTokenRow | None:
    query = _query().where(_j.token_hash == digest_of(token))
    row = (await conn.execute(query.with_for_update() if is_locked else query)).first()
    return None if row is None else _row(dict(row._mapping))


async def list_open(conn: AsyncConnection) -> tuple[JoinTokenRow, ...]:
    """Those that a node may still join by, whichever expires first."""
    query = _query().where(_j.used_by.is_(None), _j.expires_at > _NOW).order_by(_j.expires_at)
    return tuple(_row(dict(row._mapping)) for row in await conn.execute(query))


async def withdraw(conn: AsyncConnection, token_id: uuid.UUID) -> str:
    """The resource group of the token that is gone. Raises JoinTokenNotFound."""
    statement = sa.delete(t.join_tokens).where(_j.id == token_id, _j.used_by.is_(None))
    found = (await conn.execute(statement.returning(_j.resource_group))).scalar_one_or_none()
    if found is None:
        raise JoinTokenNotFound(str(token_id))
    return str(found)


async def use(
    conn: AsyncConnection, token_id: uuid.UUID, agent_id: AgentId, public_key: str
) -> None:
    """Note who used it; the caller has locked it."""
    changed = {"used_at": _NOW, "used_by": agent_id, "public_key": public_key}
    await conn.execute(sa.update(t.join_tokens).where(_j.id == token_id).values(changed))


async def forget_old(conn: AsyncConnection) -> None:
    """Those that expired long ago; who made and who used one stays in the audit log."""
    before = _NOW - sa.func.make_interval(0, 0, 0, KEPT_DAYS)
    await conn.execute(sa.delete(t.join_tokens).where(_j.expires_at < before))


def _query() -> sa.Select[Any]:
    return sa.select(
        _j.id,
        _j.resource_group,
        _j.expires_at,
        (_j.expires_at <= _NOW).label("is_expired"),
        _j.used_by,
        _j.public_key,
    )


def _row(values: dict[str, Any]) -> JoinTokenRow:
    return JoinTokenRow(**values)
