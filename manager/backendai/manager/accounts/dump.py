"""Rows as a fixture file has them. What is made anew is left out: ids, times, sealed bytes."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ProjectRole
from backendai.manager.db import tables as t

from .fixture import SHAPES
from .secretbox import SecretBox

Row = dict[str, Any]

_MADE_ANEW: Final = (sa.TIMESTAMP, sa.LargeBinary, UUID)
_ONE_MOMENT: Final = sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
# Columns that are secrets or mean nothing without them. A public key is none without its private
# half, which no file has.
_SECRETS: Final = frozenset({"password_hash", "main_access_key", "wsproxy_api_token"})
_NEVER: Final = frozenset({"ssh_public_key"})


async def dump_rows(connection: AsyncConnection, box: SecretBox | None) -> dict[str, list[Row]]:
    """Table -> rows of one moment, in the order of `populate`; without a `box` nothing secret.

    It begins the caller's transaction. Raises ServerMisconfigured when the box did not seal the
    secret keys.
    """
    await connection.execute(_ONE_MOMENT)
    names = [name for name in SHAPES if box is not None or name != "keypairs"]
    rows = {name: await _load(connection, name, box) for name in names}
    members = await _pairs(connection, _MEMBERS)
    admins = await _pairs(connection, _MEMBERS.where(_IS_ADMIN))
    aliases = await _pairs(connection, _ALIASES)
    for user in rows["users"]:
        user["projects"] = members[user["email"]]
        if user["email"] in admins:
            user["administers"] = admins[user["email"]]
    for image in rows["images"]:
        image["aliases"] = aliases[f"{image['name']} {image['architecture']}"]
    for column, statement in _OPENINGS.items():
        opened = await _pairs(connection, statement)
        for group in rows["resource_groups"]:
            if box is not None or column != "keypairs":
                group[column] = opened[group["name"]]
    return rows


async def _load(connection: AsyncConnection, name: str, box: SecretBox | None) -> list[Row]:
    shape = SHAPES[name]
    left_out = _NEVER if box is not None else _NEVER | _SECRETS
    columns = [
        column
        for column in shape.table.c
        if not isinstance(column.type, _MADE_ANEW) and column.name not in left_out
    ]
    statement = sa.select(*columns).order_by(*(shape.table.c[each] for each in shape.key))
    if name == "keypairs":
        statement = statement.join(t.users, t.users.c.id == t.keypairs.c.user_id).add_columns(
            t.users.c.email.label("user"), t.keypairs.c.secret_key_encrypted
        )
    found = (await connection.execute(statement)).mappings().all()
    return [_plain(dict(row), box) for row in found]


def _plain(row: Row, box: SecretBox | None) -> Row:
    """What is null is not said; a sealed secret key is opened."""
    sealed = row.pop("secret_key_encrypted", None)
    if box is not None and sealed is not None:
        row["secret_key"] = box.open(row["access_key"], sealed)
    return {name: value for name, value in row.items() if value is not None}


async def _pairs(
    connection: AsyncConnection, statement: sa.Select[Any]
) -> defaultdict[str, list[str]]:
    """Values by key, in order."""
    pairs: Iterable[Any] = await connection.execute(statement)
    made: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in sorted(map(tuple, pairs)):
        made[key].append(value)
    return made


_MEMBERS: Final = (
    sa.select(t.users.c.email, t.projects.c.name)
    .select_from(t.project_members.join(t.users).join(t.projects))
    .where(t.projects.c.domain_name == t.users.c.domain_name)
)
_IS_ADMIN: Final = t.project_members.c.role == ProjectRole.ADMIN.value
_ALIASES: Final = sa.select(
    t.images.c.name + " " + t.images.c.architecture, t.image_aliases.c.alias
).join(t.image_aliases, t.image_aliases.c.image_id == t.images.c.id)
_domains, _projects = t.resource_group_domains.c, t.resource_group_projects.c
_keypairs = t.resource_group_keypairs.c
_OPENINGS: Final = {
    "domains": sa.select(_domains.resource_group, _domains.domain_name),
    "projects": sa.select(
        _projects.resource_group, t.projects.c.domain_name + "/" + t.projects.c.name
    ).join(t.projects, t.projects.c.id == _projects.project_id),
    "keypairs": sa.select(_keypairs.resource_group, _keypairs.access_key),
}
