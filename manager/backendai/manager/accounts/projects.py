"""Projects of domains. A domain admin has those of the own domain, and knows no others; a project
admin those that it is told to administer."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.faults import Conflict, DomainNotFound, Forbidden, ProjectNotFound
from backendai.common.ids import IdSource
from backendai.common.params import without_nulls
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import (
    Row,
    delete_row,
    insert_row,
    lock_row,
    update_row,
)
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import may_manage
from backendai.manager.vfolders.leaving import follow_domain, release_folders

from . import fields
from .erasure import erase_referrers, refuse_while_live
from .members import OF_USERS, change_members

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
        """`user_update_mode` "add" or "remove" says what to do with `user_uuids`, and
        `admin_update_mode` with `admin_uuids`. Who only administers the project changes its users,
        but not its admins; raises Forbidden for anything else."""
        row = await self._lock(change, project_id)
        if not may_manage(change.actor, row["domain_name"]):
            _refuse_beyond_users(props)
        values = fields.read_fields(props, _FIELDS)
        if values.get("domain_name", row["domain_name"]) != row["domain_name"]:
            await _check_move(change, row, values["domain_name"])
            is_owned = t.vfolders.c.project_id == project_id
            await follow_domain(change, is_owned, values["domain_name"])
        row = await update_row(change, t.projects, {"id": project_id}, values)
        await change_members(change, row, props)
        return row

    async def delete(self, change: Change, project_id: uuid.UUID) -> None:
        """Switch it off: no session can begin in it any more; everything is kept."""
        await self.modify(change, project_id, {"is_active": False})

    async def purge(self, change: Change, project_id: uuid.UUID) -> None:
        """Remove it for good, with its folders and the record of its sessions. Refuses while some
        are not over."""
        row = await self._lock(change, project_id)
        ours = t.sessions.c.project_id == project_id
        await refuse_while_live(change, ours, f"project {row['name']}")
        await release_folders(change, t.vfolders.c.project_id == project_id)
        erased = await erase_referrers(change, t.projects, t.projects.c.id == project_id)
        await delete_row(change, t.projects, {"id": project_id}, erased=erased)

    async def _lock(self, change: Change, project_id: uuid.UUID) -> Row:
        row = await lock_row(change, t.projects, {"id": project_id})
        is_own = may_manage(change.actor, row["domain_name"])
        if not is_own and project_id not in change.actor.administers:
            raise ProjectNotFound(str(project_id))
        return row


def _refuse_beyond_users(props: Mapping[str, Any]) -> None:
    beyond = sorted(name for name in without_nulls(props) if name not in OF_USERS)
    if beyond:
        raise Forbidden(f"A project admin changes its users, not {', '.join(beyond)}.")


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
