"""Dotfiles in Postgres, and the bootstrap script of a keypair."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import DomainNotFound
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor

from .model import Dotfile, Owner

_d: Final = t.dotfiles.c
_k: Final = t.keypairs.c
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


async def lock_owner(conn: AsyncConnection, owner: Owner) -> None:
    """Let nobody else change this owner's dotfiles until the transaction ends."""
    await conn.execute(_LOCK, {"key": f"dotfiles:{owner.word}"})


async def list_files(conn: AsyncConnection, owner: Owner) -> list[Dotfile]:
    found = await conn.execute(
        sa.select(_d.path, _d.permission, _d.data).where(_of(owner)).order_by(_d.path)
    )
    return [Dotfile(*row) for row in found]


def files_of_session() -> sa.ScalarSelect[Any]:
    """A column of a statement on sessions: [path, permission, data] of each dotfile that concerns
    one, the user's before the project's before the domain's."""
    of = t.sessions.c
    owners = sa.or_(
        _d.access_key == of.access_key,
        _d.project_id == of.project_id,
        _d.domain_name == of.domain_name,
    )
    rank = (_d.access_key.is_(None), _d.project_id.is_(None), _d.path)
    one = sa.func.jsonb_build_array(_d.path, _d.permission, _d.data)
    ranked = sa.func.jsonb_agg(aggregate_order_by(one, *rank), type_=JSONB)
    return sa.select(ranked).where(owners).correlate(t.sessions).scalar_subquery()


async def insert_file(conn: AsyncConnection, owner: Owner, file: Dotfile) -> None:
    await conn.execute(
        sa.insert(t.dotfiles).values(
            access_key=owner.access_key,
            domain_name=owner.domain,
            project_id=owner.project_id,
            path=file.path,
            permission=file.permission,
            data=file.data,
        )
    )


async def update_file(conn: AsyncConnection, owner: Owner, file: Dotfile) -> None:
    await conn.execute(
        sa.update(t.dotfiles)
        .where(_of(owner), _d.path == file.path)
        .values(permission=file.permission, data=file.data, modified_at=sa.func.now())
    )


async def delete_file(conn: AsyncConnection, owner: Owner, path: str) -> bool:
    """Whether there was one."""
    gone = sa.delete(t.dotfiles).where(_of(owner), _d.path == path).returning(_d.id)
    return (await conn.execute(gone)).first() is not None


async def check_domain(conn: AsyncConnection, actor: Actor, name: str) -> None:
    """Raises DomainNotFound, the same for a domain of others."""
    is_own = actor.is_superadmin or actor.domain == name
    domains = t.domains.c
    known = sa.select(domains.name).where(domains.name == name, domains.is_active)
    if not is_own or await conn.scalar(known) is None:
        raise DomainNotFound(f"{name!r} is none of yours")


async def load_script(conn: AsyncConnection, access_key: str) -> str:
    statement = sa.select(_k.bootstrap_script).where(_k.access_key == access_key)
    return str(await conn.scalar(statement) or "")


async def write_script(conn: AsyncConnection, access_key: str, script: str) -> None:
    await conn.execute(
        sa.update(t.keypairs)
        .where(_k.access_key == access_key)
        .values(bootstrap_script=script, modified_at=sa.func.now())
    )


def _of(owner: Owner) -> sa.ColumnElement[bool]:
    columns: tuple[tuple[Any, object], ...] = (
        (_d.access_key, owner.access_key),
        (_d.domain_name, owner.domain),
        (_d.project_id, owner.project_id),
    )
    return sa.and_(*[column == value for column, value in columns if value is not None])
