"""Pages of users and of keypairs. Users see themselves, admins their domain, superadmins all."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserRole, UserStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.store import FINAL_WORDS

from . import pages
from .columns import big_integer, boolean, identifier, integer, text, time, word_of
from .minilang import Column, Condition, Join
from .pages import Listing, Row, Wanted
from .selection import Info, arguments, selected
from .sessions import load_of_keypairs
from .texts import read_id
from .vfolders import add_folders

_u, _k, _p, _m, _s = t.users, t.keypairs, t.projects, t.project_members, t.sessions
_IS_ACTIVE: Final = _u.c.status == UserStatus.ACTIVE.value
_USER_COLUMNS: Final[Mapping[str, Column]] = {
    "allowed_client_ip": Column(
        sa.func.array_to_string(_u.c.allowed_client_ip, ","), text, orderable=False
    ),
    "created_at": Column(_u.c.created_at, time),
    "description": Column(_u.c.description, text, orderable=False),
    "domain_name": Column(_u.c.domain_name, text),
    "email": Column(_u.c.email, text),
    "full_name": Column(_u.c.full_name, text),
    "is_active": Column(_IS_ACTIVE, boolean),
    "main_access_key": Column(_u.c.main_access_key, text),
    "modified_at": Column(_u.c.modified_at, time),
    "need_password_change": Column(_u.c.need_password_change, boolean),
    "resource_policy": Column(_u.c.resource_policy, text),
    "role": Column(_u.c.role, word_of(UserRole)),
    "status": Column(_u.c.status, word_of(UserStatus)),
    "status_info": Column(_u.c.status_info, text),
    "sudo_session_enabled": Column(_u.c.sudo_session_enabled, boolean),
    "totp_activated": Column(_u.c.totp_activated_at.is_not(None), boolean),
    "totp_activated_at": Column(_u.c.totp_activated_at, time),
    "username": Column(_u.c.username, text),
    "uuid": Column(_u.c.id, identifier),
}
USERS: Final = Listing(_u, _u.c.id, _u, _USER_COLUMNS, (_u.c.email,))
_GROUPS: Final = (
    sa.select(
        sa.func.coalesce(
            sa.func.jsonb_agg(
                sa.func.jsonb_build_object("id", _p.c.id, "name", _p.c.name, "role", _m.c.role)
            ),
            sa.literal([], JSONB),
        )
    )
    .select_from(_p.join(_m, _m.c.project_id == _p.c.id))
    .where(_m.c.user_id == _u.c.id)
    .correlate(_u)
    .scalar_subquery()
)

_OWNER: Final = Join(_u, _u.c.id == _k.c.user_id)
_OWNED: Final = _k.join(_u, _OWNER.on)
_PROJECT_NAMES: Final = (
    sa.select(sa.func.array_agg(sa.distinct(_p.c.name)))
    .select_from(_p.join(_m, _m.c.project_id == _p.c.id))
    .where(_m.c.user_id == _k.c.user_id)
    .correlate(_k)
    .scalar_subquery()
)
_QUERIES: Final = (
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(_s.c.query_count), 0), sa.BigInteger))
    .where(_s.c.access_key == _k.c.access_key)
    .correlate(_k)
    .scalar_subquery()
)
_LIVE: Final = (
    sa.select(sa.func.count())
    .where(_s.c.access_key == _k.c.access_key, _s.c.status.not_in(FINAL_WORDS))
    .correlate(_k)
    .scalar_subquery()
)
_SESSIONS_MAX: Final = (
    sa.select(t.keypair_policies.c.max_concurrent_sessions)
    .where(t.keypair_policies.c.name == _k.c.resource_policy)
    .correlate(_k)
    .scalar_subquery()
)


def _in_some_project(condition: Condition) -> Condition:
    joined = _p.join(_m, _m.c.project_id == _p.c.id)
    return _k.c.user_id.in_(sa.select(_m.c.user_id).select_from(joined).where(condition))


_KEYPAIR_COLUMNS: Final[Mapping[str, Column]] = {
    "access_key": Column(_k.c.access_key, text),
    "created_at": Column(_k.c.created_at, time),
    "email": Column(_u.c.email, text),
    "full_name": Column(_u.c.full_name, text),
    "is_active": Column(_k.c.is_active, boolean),
    "is_admin": Column(_k.c.is_admin, boolean),
    "last_used": Column(_k.c.last_used, time),
    "num_queries": Column(_QUERIES, big_integer),
    "projects": Column(_p.c.name, text, _in_some_project, order=_PROJECT_NAMES),
    "rate_limit": Column(_k.c.rate_limit, integer),
    "resource_policy": Column(_k.c.resource_policy, text),
    "ssh_public_key": Column(_k.c.ssh_public_key, text, orderable=False),
    "user_id": Column(_u.c.email, text, orderable=False),
}
KEYPAIRS: Final = Listing(_OWNED, _k.c.access_key, _OWNED, _KEYPAIR_COLUMNS, (_k.c.created_at,))
_KEYPAIR_EXTRAS: Final[Mapping[str, sa.ColumnElement[Any]]] = {
    "num_queries": _QUERIES,
    "projects": _PROJECT_NAMES,
    "concurrency_used": _LIVE,
}


async def load_users(
    connection: AsyncConnection, actor: Actor, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`user_list`."""
    wanted = Wanted.read(args, selected(info))
    shown: list[sa.ColumnElement[Any]] = [c for c in _u.c if c.name != "password_hash"]
    if "groups" in selected(info, "items"):
        shown.append(_GROUPS.label("groups"))
    where = [*users_seen_by(actor), *_of_domain(args), *_users_narrowed(args)]
    page = await pages.load_page(connection, USERS, wanted, where, shown)
    return {"items": [_sorted_groups(row) for row in page.rows], "total_count": page.total}


async def load_keypairs(
    connection: AsyncConnection, actor: Actor, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`keypair_list`."""
    wanted, fields = Wanted.read(args, selected(info)), selected(info, "items")
    shown: list[sa.ColumnElement[Any]] = [
        *(column for column in _k.c if not column.name.endswith("_encrypted")),
        _u.c.email,
        _u.c.full_name,
        _SESSIONS_MAX.label("max_concurrent_sessions"),
        *(value.label(name) for name, value in _KEYPAIR_EXTRAS.items() if name in fields),
    ]
    where = [*users_seen_by(actor), *_of_domain(args), *_keypairs_narrowed(args)]
    page = await pages.load_page(connection, KEYPAIRS, wanted, where, shown)
    items = await _with_sessions(connection, info, page.rows)
    if "vfolders" in fields:
        items = await add_folders(connection, actor, items)
    return {"items": items, "total_count": page.total}


async def _with_sessions(
    connection: AsyncConnection, info: Info, rows: Sequence[Row]
) -> Sequence[Row]:
    asked = arguments(info, "KeyPair", "compute_sessions", "items")
    if not asked or not rows:
        return rows
    found = await load_of_keypairs(
        connection,
        [row["access_key"] for row in rows],
        [each.get("status") for each in asked],
        selected(info, "items", "compute_sessions"),
    )
    return [{**row, "sessions": found.get(row["access_key"], [])} for row in rows]


def users_seen_by(actor: Actor) -> list[Condition]:
    """Oneself, the users of an admin's domain, or all."""
    if actor.is_superadmin:
        return []
    if actor.is_domain_admin:
        return [_u.c.domain_name == actor.domain]
    return [_u.c.id == actor.user_id]


def _of_domain(args: Mapping[str, Any]) -> list[Condition]:
    return [_u.c.domain_name == args["domain_name"]] if args.get("domain_name") else []


def _users_narrowed(args: Mapping[str, Any]) -> list[Condition]:
    where: list[Condition] = []
    if args.get("status"):
        where.append(_u.c.status.in_([word.strip().lower() for word in args["status"].split(",")]))
    if args.get("is_active") is not None:
        where.append(_IS_ACTIVE if args["is_active"] else sa.not_(_IS_ACTIVE))
    if args.get("group_id"):
        members = sa.select(_m.c.user_id).where(_m.c.project_id == read_id(args["group_id"]))
        where.append(_u.c.id.in_(members))
    return where


def _keypairs_narrowed(args: Mapping[str, Any]) -> list[Condition]:
    where: list[Condition] = []
    if args.get("is_active") is not None:
        where.append(_k.c.is_active == args["is_active"])
    if args.get("email"):
        where.append(_u.c.email == args["email"])
    return where


def _sorted_groups(row: Row) -> dict[Any, Any]:
    groups = sorted(row.get("groups") or (), key=lambda group: str(group["name"]))
    return {**row, "groups": groups}
