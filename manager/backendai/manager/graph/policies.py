"""Policies of users and of projects in GraphQL. People see those that bind them, admins all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.render import iso

from .minilang import Condition
from .pages import Row


async def load_user_policies(
    connection: AsyncConnection, actor: Actor, name: str | None, *, only_own: bool = False
) -> Sequence[Row]:
    own = sa.select(t.users.c.resource_policy).where(t.users.c.id == actor.user_id)
    is_narrow = only_own or not actor.is_domain_admin
    return await _load(connection, t.user_policies, name, own if is_narrow else None)


async def load_project_policies(
    connection: AsyncConnection, actor: Actor, name: str | None
) -> Sequence[Row]:
    own = (
        sa.select(t.projects.c.resource_policy)
        .join(t.project_members, t.project_members.c.project_id == t.projects.c.id)
        .where(t.project_members.c.user_id == actor.user_id)
    )
    return await _load(connection, t.project_policies, name, None if actor.is_domain_admin else own)


async def _load(
    connection: AsyncConnection,
    table: sa.Table,
    name: str | None,
    own: sa.Select[tuple[str]] | None,
) -> Sequence[Row]:
    where: list[Condition] = [] if own is None else [table.c.name.in_(own)]
    if name is not None:
        where.append(table.c.name == name)
    statement = sa.select(table).where(*where).order_by(table.c.name)
    return (await connection.execute(statement)).mappings().all()


PROJECT_POLICY_FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "id": lambda row: row["name"],
    "name": lambda row: row["name"],
    "created_at": lambda row: iso(row["created_at"]),
    "max_vfolder_count": lambda row: row["max_vfolder_count"],
    "max_quota_scope_size": lambda row: row["max_quota_scope_size"],
    # The word of clients from before folders were counted by scopes.
    "max_vfolder_size": lambda row: row["max_quota_scope_size"],
}
USER_POLICY_FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = {
    **PROJECT_POLICY_FIELDS,
    "max_session_count_per_model_session": lambda row: row["max_session_count_per_model_session"],
}
