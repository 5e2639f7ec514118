"""Loads first rows from a JSON file: `{table: [row, …]}`. Rows that exist are left as they are.

Plain passwords and secret keys of the file are hashed and encrypted here and never stored.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import DefaultForUnspecified, ProjectRole, UserRole, UserStatus
from backendai.common.faults import InvalidParams
from backendai.common.slots import ResourceSlots, SlotError, parse_size
from backendai.manager.db import tables as t

from .passwords import hash_password
from .secretbox import SecretBox

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How rows of one table are read: natural key, extra fields, defaults."""

    table: sa.Table
    key: tuple[str, ...]
    extra: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


# In an order in which every reference exists before it is used.
SHAPES: Final[Mapping[str, _Shape]] = {
    "keypair_policies": _Shape(
        t.keypair_policies,
        ("name",),
        required=("max_concurrent_sessions",),
        defaults={"default_for_unspecified": DefaultForUnspecified.UNLIMITED.value},
    ),
    "user_policies": _Shape(t.user_policies, ("name",)),
    "project_policies": _Shape(t.project_policies, ("name",)),
    "resource_presets": _Shape(t.resource_presets, ("name",)),
    "domains": _Shape(t.domains, ("name",)),
    "projects": _Shape(t.projects, ("domain_name", "name"), required=("resource_policy",)),
    "users": _Shape(
        t.users,
        ("email",),
        extra=frozenset({"password", "projects", "administers"}),
        required=("username", "domain_name", "resource_policy"),
        defaults={"role": UserRole.USER.value, "status": UserStatus.ACTIVE.value},
    ),
    "keypairs": _Shape(
        t.keypairs,
        ("access_key",),
        extra=frozenset({"user", "secret_key"}),
        required=("user", "secret_key", "resource_policy"),
    ),
    "resource_groups": _Shape(
        t.resource_groups, ("name",), extra=frozenset({"domains", "projects", "keypairs"})
    ),
    "images": _Shape(t.images, ("name", "architecture"), extra=frozenset({"aliases"})),
}
_SLOT_FIELDS: Final = (
    "total_resource_slots",
    "max_pending_session_resource_slots",
    "resource_slots",
)
_ENUMS: Final[Mapping[str, type[UserRole | UserStatus | DefaultForUnspecified]]] = {
    "role": UserRole,
    "status": UserStatus,
    "default_for_unspecified": DefaultForUnspecified,
}


def check_fixture(document: object) -> dict[str, list[Row]]:
    """The rows by table. Raises InvalidParams with every problem at once."""
    if not isinstance(document, dict):
        raise InvalidParams(facts={"fixture": "write an object: table name -> list of rows"})
    problems: dict[str, str] = {}
    for name, rows in document.items():
        shape = SHAPES.get(name)
        if shape is None:
            problems[name] = f"no such table; known: {', '.join(SHAPES)}"
        elif not isinstance(rows, list):
            problems[name] = "write a list of rows"
        else:
            for index, row in enumerate(rows):
                problems |= _problems_of(f"{name}[{index}]", shape, row)
    if problems:
        raise InvalidParams("The fixture cannot be loaded.", problems)
    return document


async def load_fixture(
    connection: AsyncConnection, fixture: Mapping[str, Sequence[Row]], box: SecretBox
) -> dict[str, int]:
    """Insert what is missing, in the caller's transaction. Returns table -> rows inserted."""
    loader = _Loader(connection, box)
    return {
        name: sum([await loader.load(name, shape, row) for row in fixture.get(name, ())])
        for name, shape in SHAPES.items()
        if fixture.get(name)
    }


class _Loader:
    def __init__(self, connection: AsyncConnection, box: SecretBox) -> None:
        self._connection = connection
        self._box = box

    async def load(self, name: str, shape: _Shape, row: Row) -> int:
        values = {**shape.defaults, **{k: v for k, v in row.items() if k not in shape.extra}}
        for slots in _SLOT_FIELDS:
            if slots in values:
                values[slots] = ResourceSlots.parse(values[slots]).to_json()
        if "id" in shape.table.c:
            values.setdefault("id", uuid.uuid4())
        if name == "resource_presets" and values.get("shared_memory") is not None:
            values["shared_memory"] = int(parse_size(values["shared_memory"]))
        match name:
            case "users":
                if row.get("password"):
                    values["password_hash"] = await hash_password(row["password"])
            case "keypairs":
                values["user_id"] = await self._id_of(t.users, email=row["user"])
                values["secret_key_encrypted"] = self._box.seal(
                    row["access_key"], row["secret_key"]
                )
        inserted = await self._insert(shape.table, values)
        if inserted:
            await self._relate(name, row, values)
        return int(inserted)

    async def _relate(self, name: str, row: Row, values: Row) -> None:
        match name:
            case "users":
                await self._join(row, values)
            case "resource_groups":
                await self._allow(row)
            case "images":
                for alias in row.get("aliases", ()):
                    await self._insert(t.image_aliases, {"alias": alias, "image_id": values["id"]})

    async def _join(self, row: Row, values: Row) -> None:
        administered = row.get("administers", ())
        for project in {*row.get("projects", ()), *administered}:
            project_id = await self._id_of(
                t.projects, domain_name=values["domain_name"], name=project
            )
            role = ProjectRole.ADMIN if project in administered else ProjectRole.MEMBER
            key = {"project_id": project_id, "user_id": values["id"]}
            await self._insert(t.project_members, {**key, "role": role.value})

    async def _allow(self, row: Row) -> None:
        group = {"resource_group": row["name"]}
        for domain in row.get("domains", ()):
            await self._insert(t.resource_group_domains, {**group, "domain_name": domain})
        for project in row.get("projects", ()):
            domain, slash, name = project.rpartition("/")
            where = {"name": name, **({"domain_name": domain} if slash else {})}
            project_id = await self._id_of(t.projects, **where)
            await self._insert(t.resource_group_projects, {**group, "project_id": project_id})
        for access_key in row.get("keypairs", ()):
            await self._insert(t.resource_group_keypairs, {**group, "access_key": access_key})

    async def _insert(self, table: sa.Table, values: Row) -> bool:
        done = await self._connection.execute(
            insert(table).values(values).on_conflict_do_nothing().returning(sa.literal(1))
        )
        return done.first() is not None

    async def _id_of(self, table: sa.Table, **key: str) -> uuid.UUID:
        where = [table.c[name] == value for name, value in key.items()]
        found = await self._connection.scalar(sa.select(table.c.id).where(*where))
        if not isinstance(found, uuid.UUID):
            raise InvalidParams(facts={table.name: f"there is no {key}"})
        return found


def _problems_of(place: str, shape: _Shape, row: object) -> dict[str, str]:
    if not isinstance(row, dict):
        return {place: "write an object"}
    known = {column.name for column in shape.table.c} | shape.extra
    problems = {f"{place}.{key}": "unknown field" for key in row if key not in known}
    for key in (*shape.key, *shape.required):
        if row.get(key) in (None, ""):
            problems[f"{place}.{key}"] = "required"
    return problems | {
        f"{place}.{key}": problem
        for key, value in row.items()
        if (problem := _problem_of(key, value))
    }


def _problem_of(key: str, value: object) -> str | None:
    if key in _ENUMS:
        allowed = [word.value for word in _ENUMS[key]]
        return None if value in allowed else f"{value!r} is none of {', '.join(allowed)}"
    if key in _SLOT_FIELDS:
        return _complaint(ResourceSlots.parse, value) if isinstance(value, dict) else "an object"
    return None


def _complaint(parse: Callable[[Any], object], value: object) -> str | None:
    try:
        parse(value)
    except SlotError as error:
        return str(error)
    return None
