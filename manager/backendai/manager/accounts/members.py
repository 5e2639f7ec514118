"""Who is in a project, and as what. Memberships stay within a domain.

Who administers a project lets users of its domain in and out; its admins are made and unmade by who
manages the domain.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from backendai.common.enums import ProjectRole
from backendai.common.faults import Forbidden, InvalidParams
from backendai.common.ids import uuid_of
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import Row, target_of
from backendai.manager.audit.store import record
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import may_manage

from . import fields

# What says how to change something -> what says whose.
UPDATES: Final = {"user_update_mode": "user_uuids", "admin_update_mode": "admin_uuids"}
# The part of it that needs no more than administering the project.
OF_USERS: Final = ("user_update_mode", "user_uuids")
_MODES: Final = ("add", "remove")
_members: Final = t.project_members
# Of some members, by id.
Roles = Mapping[uuid.UUID, ProjectRole]


async def change_members(change: Change, project: Row, props: Mapping[str, Any]) -> None:
    """Do what `props` say under the names of UPDATES. Raises InvalidParams, and Forbidden where
    somebody who may not would put out an admin."""
    for mode_field, users_field in UPDATES.items():
        mode, references = props.get(mode_field), props.get(users_field)
        if mode or references:
            if mode not in _MODES:
                told = f"{mode!r} is none of {', '.join(_MODES)}"
                raise InvalidParams("", {mode_field: told})
            users = await _read_users(change, project, users_field, references or [])
            before = await _load_roles(change, project, users)
            after = _decide(mode_field, mode, users, before)
            _refuse_unmaking(change, project, users, before, after)
            await _write(change, project, users, before, after)


async def join(change: Change, user: Row, project_ids: Sequence[uuid.UUID]) -> None:
    """Make these the projects of `user`, instead of those before; in those that stay the role does
    too. Raises InvalidParams."""
    wanted = sa.select(t.projects.c.id, t.projects.c.name).where(
        t.projects.c.id.in_(project_ids), t.projects.c.domain_name == user["domain_name"]
    )
    found = {row.id: row.name for row in await change.connection.execute(wanted)}
    if missing := set(project_ids) - found.keys():
        told = ", ".join(sorted(map(str, missing)))
        raise InvalidParams(
            "", {"group_ids": f"no projects of domain {user['domain_name']}: {told}"}
        )
    own = _members.c.user_id == user["id"]
    held = sa.select(t.projects.c.id, t.projects.c.name, _members.c.role).join(_members).where(own)
    rows = (await change.connection.execute(held)).all()
    left = {row.id for row in rows if row.id not in found}
    come = found.keys() - {row.id for row in rows}
    if not left | come:
        return
    await change.connection.execute(sa.delete(_members).where(own, _members.c.project_id.in_(left)))
    await _save(change, [(project_id, user["id"], ProjectRole.MEMBER) for project_id in come])
    before = {"projects": sorted(row.name for row in rows)}
    unmade = sorted(row.name for row in rows if row.id in left and row.role == ProjectRole.ADMIN)
    await record(
        change,
        target_of(t.users, user),
        before=before | ({"administered": unmade} if unmade else {}),
        after={"projects": sorted(found.values())},
    )


def read_ids(field: str, references: Sequence[Any]) -> list[uuid.UUID]:
    """Raises InvalidParams. Pure."""
    _refuse_many(field, references)
    try:
        return [uuid.UUID(str(each)) for each in references]
    except ValueError:
        raise InvalidParams("", {field: "write a list of UUIDs"}) from None


def _decide(mode_field: str, mode: str, users: Iterable[uuid.UUID], before: Roles) -> Roles:
    """The roles afterwards: of users who leave none. Whoever is made an admin comes in; who is one
    no more stays in. PURE."""
    if mode_field == "admin_update_mode":
        if mode == "add":
            return dict.fromkeys(users, ProjectRole.ADMIN)
        return dict.fromkeys(before, ProjectRole.MEMBER)
    if mode == "add":
        return {user: before.get(user, ProjectRole.MEMBER) for user in users}
    return {}


def _refuse_unmaking(
    change: Change,
    project: Row,
    users: Mapping[uuid.UUID, str],
    before: Roles,
    after: Roles,
) -> None:
    unmade = _having(ProjectRole.ADMIN, users, before.keys() - after.keys(), before)
    if unmade and not may_manage(change.actor, project["domain_name"]):
        raise Forbidden(f"Admins of a project are put out by who manages it: {', '.join(unmade)}.")


async def _write(
    change: Change,
    project: Row,
    users: Mapping[uuid.UUID, str],
    before: Roles,
    after: Roles,
) -> None:
    """Write what differs, and note it."""
    changed = {user for user in users if before.get(user) != after.get(user)}
    if not changed:
        return
    gone = changed - after.keys()
    of_project = _members.c.project_id == project["id"]
    await change.connection.execute(
        sa.delete(_members).where(of_project, _members.c.user_id.in_(gone))
    )
    kept = [(project["id"], user, after[user]) for user in changed & after.keys()]
    await _save(change, kept)
    was, now = _told(users, changed, before), _told(users, changed, after)
    await record(
        change,
        target_of(t.projects, project),
        before={name: emails for name, emails in was.items() if emails != now.get(name)},
        after={name: emails for name, emails in now.items() if emails != was.get(name)},
    )


def _told(
    users: Mapping[uuid.UUID, str], changed: set[uuid.UUID], roles: Roles
) -> dict[str, list[str]]:
    members = sorted(users[user] for user in changed & roles.keys())
    admins = _having(ProjectRole.ADMIN, users, changed, roles)
    told = {"members": members, "admins": admins}
    return {name: emails for name, emails in told.items() if emails}


def _having(
    role: ProjectRole, users: Mapping[uuid.UUID, str], among: Iterable[uuid.UUID], roles: Roles
) -> list[str]:
    return sorted(users[user] for user in among if roles.get(user) is role)


async def _save(
    change: Change, members: Sequence[tuple[uuid.UUID, uuid.UUID, ProjectRole]]
) -> None:
    if members:
        rows = [
            {"project_id": project, "user_id": user, "role": role.value}
            for project, user, role in members
        ]
        statement = insert(_members).values(rows)
        told = {"role": statement.excluded.role}
        key = ["project_id", "user_id"]
        await change.connection.execute(
            statement.on_conflict_do_update(index_elements=key, set_=told)
        )


async def _load_roles(change: Change, project: Row, users: Iterable[uuid.UUID]) -> Roles:
    """Of those who are in."""
    found = await change.connection.execute(
        sa.select(_members.c.user_id, _members.c.role).where(
            _members.c.project_id == project["id"], _members.c.user_id.in_(users)
        )
    )
    return {row.user_id: ProjectRole(row.role) for row in found}


async def _read_users(
    change: Change, project: Row, field: str, references: Sequence[Any]
) -> dict[uuid.UUID, str]:
    """Id -> email of users in the project's domain, who are named by either. Raises InvalidParams
    naming the others."""
    _refuse_many(field, references)
    meant = {str(each): uuid_of(str(each)) for each in references}
    of_domain = t.users.c.domain_name == project["domain_name"]
    named = sa.or_(
        t.users.c.id.in_([own for own in meant.values() if own]),
        t.users.c.email.in_([text for text, own in meant.items() if own is None]),
    )
    known = sa.select(t.users.c.id, t.users.c.email).where(of_domain, named)
    users = {row.id: row.email for row in await change.connection.execute(known)}
    emails = set(users.values())
    missing = sorted(
        text for text, own in meant.items() if (own or text) not in (users if own else emails)
    )
    if missing:
        told = f"no users of domain {project['domain_name']}: {', '.join(missing)}"
        raise InvalidParams("", {field: told})
    return users


def _refuse_many(field: str, references: Sequence[Any]) -> None:
    if len(references) > fields.LIST_ITEMS_MAX:
        raise InvalidParams("", {field: f"write at most {fields.LIST_ITEMS_MAX} ids at once"})
