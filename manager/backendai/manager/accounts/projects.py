"""Projects and who is in them. A domain admin has those of the own domain, and knows no others."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from backendai.common.faults import Conflict, DomainNotFound, InvalidParams, ProjectNotFound
from backendai.common.ids import IdSource
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import (
    Row,
    delete_row,
    insert_row,
    lock_row,
    target_of,
    update_row,
)
from backendai.manager.audit.store import record
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import may_manage

from . import fields
from .erasure import erase_referrers, refuse_while_live

_FIELDS: Final[Mapping[str, fields.Read]] = {
    "name": fields.slug,
    "domain_name": fields.line,
    "description": fields.text,
    "is_active": fields.flag,
    "resource_policy": fields.line,
    "total_resource_slots": fields.slots,
    "allowed_vfolder_hosts": fields.hosts,
    "integration_id": fields.line,
}
_MODES: Final = ("add", "remove")
_members: Final = t.project_members


class Projects:
    """Use cases on projects. They raise InvalidParams, ProjectNotFound and Conflict."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    async def create(self, change: Change, name: str, props: Mapping[str, Any]) -> Row:
        values = {"resource_policy": "default"} | fields.read_fields(
            {**props, "name": name}, _FIELDS
        )
        if not may_manage(change.actor, values["domain_name"]):
            raise DomainNotFound(values["domain_name"])
        return await insert_row(change, t.projects, {**values, "id": self._ids.uuid()})

    async def modify(self, change: Change, project_id: uuid.UUID, props: Mapping[str, Any]) -> Row:
        """`user_update_mode` "add" or "remove" says what to do with `user_uuids`."""
        values = fields.read_fields(props, _FIELDS)
        row = await self._lock(change, project_id)
        if values.get("domain_name", row["domain_name"]) != row["domain_name"]:
            await _check_move(change, row, values["domain_name"])
        row = await update_row(change, t.projects, {"id": project_id}, values)
        mode, users = props.get("user_update_mode"), props.get("user_uuids")
        if mode or users:
            await _change_members(change, row, str(mode), users or [])
        return row

    async def delete(self, change: Change, project_id: uuid.UUID) -> None:
        """Switch it off: no session can begin in it any more; everything is kept."""
        await self.modify(change, project_id, {"is_active": False})

    async def purge(self, change: Change, project_id: uuid.UUID) -> None:
        """Remove it for good, with the record of its sessions. Refuses while some are not over."""
        row = await self._lock(change, project_id)
        ours = t.sessions.c.project_id == project_id
        await refuse_while_live(change, ours, f"project {row['name']}")
        erased = await erase_referrers(change, t.projects, t.projects.c.id == project_id)
        await delete_row(change, t.projects, {"id": project_id}, erased=erased)

    async def _lock(self, change: Change, project_id: uuid.UUID) -> Row:
        row = await lock_row(change, t.projects, {"id": project_id})
        if not may_manage(change.actor, row["domain_name"]):
            raise ProjectNotFound(str(project_id))
        return row


async def join(change: Change, user: Row, project_ids: Sequence[uuid.UUID]) -> None:
    """Make these the projects of `user`, instead of those before. Raises InvalidParams."""
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
    held = sa.select(t.projects.c.id, t.projects.c.name).join(_members).where(own)
    before = {row.id: row.name for row in await change.connection.execute(held)}
    if before.keys() == found.keys():
        return
    await change.connection.execute(sa.delete(_members).where(own))
    await _add(change, [(project_id, user["id"]) for project_id in found])
    await record(
        change,
        target_of(t.users, user),
        before={"projects": sorted(before.values())},
        after={"projects": sorted(found.values())},
    )


async def _add(change: Change, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    if pairs:
        rows = [{"project_id": project, "user_id": user} for project, user in pairs]
        await change.connection.execute(insert(_members).values(rows).on_conflict_do_nothing())


async def _check_move(change: Change, row: Row, domain: str) -> None:
    """A project goes to another domain only without members and sessions, which belong to one."""
    if not may_manage(change.actor, domain):
        raise DomainNotFound(domain)
    for table in (t.project_members, t.sessions):
        used = sa.select(sa.literal(1)).where(table.c.project_id == row["id"]).limit(1)
        if await change.connection.scalar(used):
            raise Conflict(
                f"Project {row['name']} cannot leave domain {row['domain_name']}:"
                f" it has {table.name.replace('_', ' ')}."
            )


async def _change_members(
    change: Change, project: Row, mode: str, references: Sequence[Any]
) -> None:
    if mode not in _MODES:
        raise InvalidParams("", {"user_update_mode": f"{mode!r} is none of {', '.join(_MODES)}"})
    users = await _read_users(change, project, references)
    of_project = _members.c.project_id == project["id"]
    statement = sa.select(_members.c.user_id).where(of_project, _members.c.user_id.in_(users))
    present = set(await change.connection.scalars(statement))
    if mode == "add":
        changed = users.keys() - present
        await _add(change, [(project["id"], user_id) for user_id in changed])
    else:
        changed = present
        gone = sa.delete(_members).where(of_project, _members.c.user_id.in_(changed))
        await change.connection.execute(gone)
    if changed:
        emails = {"members": sorted(users[user_id] for user_id in changed)}
        added, removed = (emails, {}) if mode == "add" else ({}, emails)
        await record(change, target_of(t.projects, project), before=removed, after=added)


async def _read_users(
    change: Change, project: Row, references: Sequence[Any]
) -> dict[uuid.UUID, str]:
    """Id -> email of users in the project's domain. Raises InvalidParams naming the others."""
    ids = read_ids("user_uuids", references)
    known = sa.select(t.users.c.id, t.users.c.email).where(
        t.users.c.id.in_(ids), t.users.c.domain_name == project["domain_name"]
    )
    users = {row.id: row.email for row in await change.connection.execute(known)}
    if missing := set(ids) - users.keys():
        told = ", ".join(sorted(map(str, missing)))
        raise InvalidParams(
            "", {"user_uuids": f"no users of domain {project['domain_name']}: {told}"}
        )
    return users


def read_ids(field: str, references: Sequence[Any]) -> list[uuid.UUID]:
    """Raises InvalidParams. Pure."""
    if len(references) > fields.LIST_ITEMS_MAX:
        raise InvalidParams("", {field: f"write at most {fields.LIST_ITEMS_MAX} ids at once"})
    try:
        return [uuid.UUID(str(each)) for each in references]
    except ValueError:
        raise InvalidParams("", {field: "write a list of UUIDs"}) from None
