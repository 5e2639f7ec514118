"""Resource groups: made, changed, removed, and opened to domains, projects and keypairs."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.faults import Conflict, NotFound
from backendai.manager.accounts import fields
from backendai.manager.accounts.erasure import refuse_while_live
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

from .options import FIELDS

_OPENINGS: Final = (t.resource_group_domains, t.resource_group_projects, t.resource_group_keypairs)


async def create(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """A group that is open to nobody yet. Raises InvalidParams and Conflict."""
    values = fields.read_fields({**props, "name": name}, {**FIELDS, "name": fields.slug})
    return await insert_row(change, t.resource_groups, values)


async def modify(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """Raises InvalidParams and ResourceGroupNotFound."""
    values = fields.read_fields(props, FIELDS)
    return await update_row(change, t.resource_groups, {"name": name}, values)


async def delete(change: Change, name: str) -> None:
    """With whom it is open to. Raises ResourceGroupNotFound, and Conflict that names its nodes, its
    sessions, or that some are on record."""
    await lock_row(change, t.resource_groups, {"name": name})
    await refuse_while_live(change, t.sessions.c.resource_group == name, f"resource group {name}")
    await _refuse_with_nodes(change, name)
    past = sa.select(sa.func.count()).where(t.sessions.c.resource_group == name)
    if count := await change.connection.scalar(past):
        raise Conflict(
            f"Resource group {name} has {count} ended sessions on record:"
            " switch it off (is_active: false) instead."
        )
    erased = {
        table.name: [
            dict(row._mapping)
            for row in await change.connection.execute(
                sa.delete(table).where(table.c.resource_group == name).returning(table)
            )
        ]
        for table in _OPENINGS
    }
    await delete_row(change, t.resource_groups, {"name": name}, erased=erased)


async def _refuse_with_nodes(change: Change, name: str) -> None:
    nodes = sa.select(t.agents.c.id).where(t.agents.c.resource_group == name)
    found = await change.connection.scalars(nodes.order_by(t.agents.c.id).limit(NAMES_TOLD_MAX))
    if told := ", ".join(found):
        raise Conflict(f"Resource group {name} has nodes: {told}. Move them to another one.")


async def open_to_domain(change: Change, name: str, domain: str) -> None:
    """Raises InvalidParams for what is not there, Conflict where it is open already."""
    row = {"resource_group": name, "domain_name": domain}
    await insert_row(change, t.resource_group_domains, row)


async def open_to_project(change: Change, name: str, project_id: uuid.UUID) -> None:
    """Raises also ProjectNotFound."""
    project = await lock_row(change, t.projects, {"id": project_id})
    row = {"resource_group": name, "project_id": project_id}
    await insert_row(change, t.resource_group_projects, row, domain=project["domain_name"])


async def open_to_keypair(change: Change, name: str, access_key: str) -> None:
    row = {"resource_group": name, "access_key": access_key}
    await insert_row(change, t.resource_group_keypairs, row)


async def close_to_domain(change: Change, name: str, domain: str) -> None:
    """Sessions that are in it stay. Raises NotFound where it is not open."""
    await _close(change, t.resource_group_domains, name, {"domain_name": domain})


async def close_to_project(change: Change, name: str, project_id: uuid.UUID) -> None:
    await _close(change, t.resource_group_projects, name, {"project_id": project_id})


async def close_to_keypair(change: Change, name: str, access_key: str) -> None:
    await _close(change, t.resource_group_keypairs, name, {"access_key": access_key})


async def close_all_to_domain(change: Change, domain: str) -> None:
    """Raises DomainNotFound."""
    await lock_row(change, t.domains, {"name": domain})
    await _close_all(change, t.resource_group_domains, {"domain_name": domain})


async def close_all_to_project(change: Change, project_id: uuid.UUID) -> None:
    """Raises ProjectNotFound."""
    await lock_row(change, t.projects, {"id": project_id})
    await _close_all(change, t.resource_group_projects, {"project_id": project_id})


async def _close(change: Change, table: sa.Table, name: str, whom: Row) -> None:
    try:
        await delete_row(change, table, {"resource_group": name, **whom})
    except NotFound:
        told = " ".join(f"{column.split('_')[0]} {value}" for column, value in whom.items())
        raise NotFound(f"Resource group {name} is not open to {told}.") from None


async def _close_all(change: Change, table: sa.Table, whom: Row) -> None:
    ((column, value),) = whom.items()
    statement = sa.select(table.c.resource_group).where(table.c[column] == value)
    groups: Sequence[str] = (await change.connection.scalars(statement)).all()
    for name in groups:
        await _close(change, table, name, whom)
