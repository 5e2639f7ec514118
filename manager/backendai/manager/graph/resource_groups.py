"""Resource groups (`scaling_group` in the API) in GraphQL."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t
from backendai.manager.sessions.render import iso

from .minilang import Condition
from .pages import Row
from .texts import json_text, read_id

GROUPS_MAX: Final = 1000
_g = t.resource_groups


async def load_groups(
    connection: AsyncConnection, args: Mapping[str, Any], *where: Condition
) -> Sequence[Row]:
    """By name, narrowed by `name` and `is_active`."""
    narrowing = [name for name in ("name", "is_active") if args.get(name) is not None]
    conditions = [*where, *(_g.c[name] == args[name] for name in narrowing)]
    statement = sa.select(_g).where(*conditions).order_by(_g.c.name).limit(GROUPS_MAX)
    return (await connection.execute(statement)).mappings().all()


def open_to_domain(domain: str) -> Condition:
    of = t.resource_group_domains.c
    return _g.c.name.in_(sa.select(of.resource_group).where(of.domain_name == domain))


def open_to_project(project: str) -> Condition:
    """By id. Raises BadRequest."""
    of = t.resource_group_projects.c
    return _g.c.name.in_(sa.select(of.resource_group).where(of.project_id == read_id(project)))


def open_to_keypair(access_key: str) -> Condition:
    of = t.resource_group_keypairs.c
    return _g.c.name.in_(sa.select(of.resource_group).where(of.access_key == access_key))


GROUP_FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "name": lambda row: row["name"],
    "description": lambda row: row["description"],
    "is_active": lambda row: row["is_active"],
    "is_public": lambda row: row["is_public"],
    "created_at": lambda row: iso(row["created_at"]),
    "wsproxy_addr": lambda row: row["wsproxy_addr"] or None,
    "wsproxy_api_token": lambda row: row["wsproxy_api_token"] or None,
    "driver": lambda row: row["driver"],
    "driver_opts": lambda row: json_text(row["driver_opts"]),
    "scheduler": lambda row: row["scheduler"],
    "scheduler_opts": lambda row: json_text(row["scheduler_opts"]),
    "use_host_network": lambda row: row["use_host_network"],
}
