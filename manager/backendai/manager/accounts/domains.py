"""Domains: made, changed, switched off, and removed for good."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.faults import Conflict
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import (
    NAMES_TOLD_MAX,
    Row,
    delete_row,
    insert_row,
    lock_row,
    update_row,
)
from backendai.manager.db import tables as t
from backendai.manager.vfolders.leaving import refuse_while_folders

from . import fields
from .erasure import erase_referrers, refuse_while_live
from .survival import keep_a_superadmin, refuse_self

_FIELDS: Final[Mapping[str, fields.Read]] = {
    "name": fields.slug,
    "description": fields.text,
    "is_active": fields.flag,
    "total_resource_slots": fields.slots,
    "allowed_vfolder_hosts": fields.hosts,
    "allowed_docker_registries": fields.names,
    "integration_id": fields.line,
}


async def create(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """Raises InvalidParams and Conflict."""
    values = fields.read_fields({**props, "name": name}, _FIELDS)
    return await insert_row(change, t.domains, values)


async def modify(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """With a `name` in `props` it is renamed with everything in it. Raises also DomainNotFound."""
    values = fields.read_fields(props, _FIELDS)
    if not values.get("is_active", True):
        refuse_self(name == change.actor.domain, "deactivate the domain of")
    row = await update_row(change, t.domains, {"name": name}, values)
    await keep_a_superadmin(change)
    return row


async def delete(change: Change, name: str) -> None:
    """Switch it off: none of its users is let in any more; everything is kept."""
    await modify(change, name, {"is_active": False})


async def purge(change: Change, name: str) -> None:
    """Remove an empty domain for good. Raises Conflict that names what is still in it."""
    await lock_row(change, t.domains, {"name": name})
    await refuse_while_live(change, t.sessions.c.domain_name == name, f"domain {name}")
    for table, word in ((t.users, "email"), (t.projects, "name")):
        column = table.c[word]
        within = sa.select(column).where(table.c.domain_name == name).order_by(column)
        found = list(await change.connection.scalars(within.limit(NAMES_TOLD_MAX)))
        if found:
            raise Conflict(f"Domain {name} still has {table.name}: {', '.join(found)}. Purge them.")
    await refuse_while_folders(change, name)
    erased = await erase_referrers(change, t.domains, t.domains.c.name == name)
    await delete_row(change, t.domains, {"name": name}, erased=erased)
