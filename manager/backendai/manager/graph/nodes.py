"""Users and projects as Relay knows them: by ids that tell their type, and as connections."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import BadRequest
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor

from . import texts
from .account_lists import USERS, users_seen_by
from .accounts import (
    GROUPS_OF_PROJECT,
    PROJECT_FIELDS,
    USER_FIELDS,
    projects_seen_by,
)
from .columns import boolean, text, time
from .connections import Owner, load_parts, read_id, render, write_id
from .execute import Resolver, sync_fields
from .minilang import Column, Condition
from .pages import Listing, Row
from .queries import Root
from .selection import Info, arguments

USER: Final = "UserNode"
PROJECT: Final = "GroupNode"

_p, _u, _m = t.projects, t.users, t.project_members
_PROJECTS: Final = Listing(
    _p,
    _p.c.id,
    _p,
    {
        "created_at": Column(_p.c.created_at, time),
        "description": Column(_p.c.description, text, orderable=False),
        "domain_name": Column(_p.c.domain_name, text),
        "integration_id": Column(_p.c.integration_id, text),
        "is_active": Column(_p.c.is_active, boolean),
        "modified_at": Column(_p.c.modified_at, time),
        "name": Column(_p.c.name, text),
        "resource_policy": Column(_p.c.resource_policy, text),
    },
    (_p.c.name, _p.c.domain_name),
)
_USER_SHOWN: Final = [column for column in _u.c if column.name != "password_hash"]
_PROJECT_SHOWN: Final = [*_p.c, GROUPS_OF_PROJECT.label("scaling_groups")]
_MEMBERS: Final = Owner(_m, _m.c.user_id == _u.c.id, _m.c.project_id)
# What a user has in lists only.
_NOT_OF_NODES: Final = frozenset({"uuid", "groups", "main_access_key"})
_READ_USERS: Final = Action("user.read")
_READ_PROJECTS: Final = Action("project.read")


class NodeRoots:
    """Each shows what its caller may see, and null for what is not there or not theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def roots(self) -> dict[str, Root]:
        return {
            "node": Root(_READ_USERS, self._node),
            "user_node": Root(_READ_USERS, self._user),
            "user_nodes": Root(_READ_USERS, self._users),
            "group_node": Root(_READ_PROJECTS, self._project),
            "group_nodes": Root(_READ_PROJECTS, self._projects),
        }

    def fields(self) -> dict[str, dict[str, Resolver]]:
        user = {name: show for name, show in USER_FIELDS.items() if name not in _NOT_OF_NODES}
        return {
            USER: sync_fields(user | {"id": lambda row: write_id(USER, row["id"])}),
            PROJECT: {
                **sync_fields({**PROJECT_FIELDS, "id": lambda row: write_id(PROJECT, row["id"])}),
                "user_nodes": lambda row, info, **args: row["user_nodes"][_key(args)],
            },
        }

    async def _node(self, _: Any, info: Info, id: str) -> Any:  # noqa: A002 - the argument's name
        kind, own = read_id(id)
        find = {USER: self._user, PROJECT: self._project}.get(kind)
        found = None if find is None else await find(_, info, own)
        return found and {**found, "__typename": kind}

    async def _user(self, _: Any, info: Info, id: str) -> Any:  # noqa: A002
        found = await self._load_users(info, {}, _u.c.id == read_own_id(USER, id))
        return next((edge["node"] for edge in found["edges"]), None)

    async def _users(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._load_users(info, args)

    async def _load_users(self, info: Info, args: Mapping[str, Any], *where: Condition) -> Any:
        seen = [*users_seen_by(info.context.actor), *where]
        parts = await self._database.read(
            lambda conn: load_parts(conn, USERS, args, seen, _USER_SHOWN)
        )
        return render(parts[None])

    async def _project(self, _: Any, info: Info, id: str) -> Any:  # noqa: A002
        asked = arguments(info, PROJECT, "user_nodes")
        found = await self._load_projects(info, {}, asked, _p.c.id == read_own_id(PROJECT, id))
        return next((edge["node"] for edge in found["edges"]), None)

    async def _projects(self, _: Any, info: Info, **args: Any) -> Any:
        asked = arguments(info, PROJECT, "user_nodes", "edges", "node")
        return await self._load_projects(info, args, asked)

    async def _load_projects(
        self,
        info: Info,
        args: Mapping[str, Any],
        asked: Sequence[Mapping[str, Any]],
        *where: Condition,
    ) -> Any:
        """`asked`: the ways in which the users below each are wanted, each loaded at once."""
        actor: Actor = info.context.actor

        async def work(conn: AsyncConnection) -> Any:
            seen = [*projects_seen_by(actor), *where]
            found = (await load_parts(conn, _PROJECTS, args, seen, _PROJECT_SHOWN))[None]
            ids = [row["id"] for row in found.rows]
            ways = {_key(each): each for each in asked}
            users = {key: await _load_members(conn, actor, each, ids) for key, each in ways.items()}
            found.rows = [_with_users(row, users) for row in found.rows]
            return render(found)

        return await self._database.read(work)


async def _load_members(
    conn: AsyncConnection, actor: Actor, args: Mapping[str, Any], projects: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, Any]:
    where = [_m.c.project_id.in_(projects), *users_seen_by(actor)]
    parts = await load_parts(conn, USERS, args, where, _USER_SHOWN, _MEMBERS)
    return {project: render(parts[project]) for project in projects}


def _with_users(row: Row, users: Mapping[Any, Mapping[uuid.UUID, Any]]) -> Row:
    return {**row, "user_nodes": {key: found[row["id"]] for key, found in users.items()}}


def _key(args: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(args.items())


def read_own_id(kind: str, told: str) -> uuid.UUID:
    """From the id of a node, or from the plain one. Raises BadRequest."""
    try:
        return uuid.UUID(told)
    except ValueError:
        found, own = read_id(told)
    if found != kind:
        raise BadRequest(f"this is the id of a {found[:64]}, not of a {kind}")
    return texts.read_id(own)
