"""Quota scopes: all folders on a volume that were made for one user or project, and their limit."""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserRole
from backendai.common.faults import FileNotFound, Forbidden, QuotaScopeNotFound
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, may_manage

from . import actions
from .model import project_quota_scope, user_quota_scope
from .proxies import Proxies, ScopeUsage


@dataclass(frozen=True, slots=True)
class QuotaScope:
    """`usage` is empty where nothing was made in it yet."""

    host: str
    id: str
    usage: ScopeUsage


@dataclass(frozen=True, slots=True)
class _Owner:
    domain: str
    is_own: bool  # of whoever asks: theirs, or of a project that they are a member of
    is_guarded: bool = False


class QuotaScopes:
    """Every method raises QuotaScopeNotFound for one of nobody, or of whom `actor` may not know,
    and as `Proxies`."""

    def __init__(self, database: Database, changes: Changes, proxies: Proxies) -> None:
        self._database = database
        self._changes = changes
        self._proxies = proxies

    async def get(self, actor: Actor, host: str, scope_id: str) -> QuotaScope:
        """For whom it is of, the members of the project that it is of, and administrators."""
        await self._database.read(lambda conn: _get_owner(conn, actor, scope_id))
        return QuotaScope(host, scope_id, await scope_usage(self._proxies, host, scope_id))

    async def set_limit(
        self, actor: Actor, host: str, scope_id: str, limit_bytes: int | None
    ) -> QuotaScope:
        """For administrators of its domain; None takes the limit away. Raises Forbidden."""

        async def work(change: Change) -> None:
            await _get_owner(change.connection, actor, scope_id)
            await note_limit(change, host, scope_id, limit_bytes)

        await self._changes.run(actor, actions.SET_QUOTA, work)
        await set_limit(self._proxies, host, scope_id, limit_bytes)
        return QuotaScope(host, scope_id, await scope_usage(self._proxies, host, scope_id))


async def scope_usage(proxies: Proxies, host: str, scope_id: str) -> ScopeUsage:
    try:
        return await proxies.scope_usage(host, scope_id)
    except FileNotFound:
        return ScopeUsage()


async def set_limit(proxies: Proxies, host: str, scope_id: str, limit_bytes: int | None) -> None:
    """Also of one in which nothing was made yet."""
    await proxies.ensure_scope(host, scope_id, limit_bytes)
    await proxies.set_limit(host, scope_id, limit_bytes)


async def note_limit(change: Change, host: str, scope_id: str, limit_bytes: int | None) -> None:
    """That it will be set. The scope tells who may, not the folder that somebody asks by:
    one that was handed on counts where it was made.

    Raises Forbidden, and QuotaScopeNotFound where its user or project is no more."""
    owner = await _load_owner(change.connection, change.actor, scope_id)
    if not _administers(change.actor, owner):
        raise Forbidden("Only administrators of its domain set the limit of a quota scope.")
    noted = {"host": host, "limit_bytes": limit_bytes}
    await record(change, Target("quota_scope", scope_id, owner.domain), before={}, after=noted)


async def require_known(conn: AsyncConnection, actor: Actor, scope_id: str) -> None:
    """For who sees a folder in it. Raises Forbidden where they may not know its limit."""
    if actor.is_superadmin:
        return
    try:
        await _get_owner(conn, actor, scope_id)
    except QuotaScopeNotFound as fault:
        raise Forbidden(
            "The limit is for whoever the files count for, and administrators."
        ) from fault


async def _get_owner(conn: AsyncConnection, actor: Actor, scope_id: str) -> _Owner:
    """As `_load_owner`, of a scope that `actor` may know of."""
    owner = await _load_owner(conn, actor, scope_id)
    if not (owner.is_own or _administers(actor, owner)):
        raise QuotaScopeNotFound(_told(scope_id))
    return owner


async def _load_owner(conn: AsyncConnection, actor: Actor, scope_id: str) -> _Owner:
    text = scope_id.partition(":")[2]
    try:
        owner_id = uuid.UUID(text)
    except ValueError:
        raise QuotaScopeNotFound(_told(scope_id)) from None
    owner = None
    if scope_id == user_quota_scope(owner_id):
        owner = await _find_user(conn, actor, owner_id)
    elif scope_id == project_quota_scope(owner_id):
        owner = await _find_project(conn, actor, owner_id)
    if owner is None:
        raise QuotaScopeNotFound(_told(scope_id))
    return owner


def _administers(actor: Actor, owner: _Owner) -> bool:
    return actor.is_superadmin or (may_manage(actor, owner.domain) and not owner.is_guarded)


async def _find_user(conn: AsyncConnection, actor: Actor, user_id: uuid.UUID) -> _Owner | None:
    users = t.users.c
    statement = sa.select(users.domain_name, users.role).where(users.id == user_id)
    row = (await conn.execute(statement)).first()
    if row is None:
        return None
    is_guarded = row.role == UserRole.SUPERADMIN.value
    return _Owner(row.domain_name, user_id == actor.user_id, is_guarded)


async def _find_project(
    conn: AsyncConnection, actor: Actor, project_id: uuid.UUID
) -> _Owner | None:
    projects, members = t.projects.c, t.project_members.c
    is_own = sa.exists().where(members.project_id == project_id, members.user_id == actor.user_id)
    statement = sa.select(projects.domain_name, is_own).where(projects.id == project_id)
    row = (await conn.execute(statement)).first()
    return None if row is None else _Owner(row[0], row[1])


def _told(scope_id: str) -> str:
    return f"{scope_id[:64]!r} is none of user:<id> or project:<id> that you know."
