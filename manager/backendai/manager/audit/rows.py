"""Changes rows and notes it in the audit log, in one step, so that none can be forgotten.

What Postgres refuses because of another row becomes a Conflict that names it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from backendai.common.faults import (
    Conflict,
    DomainNotFound,
    ImageAliasNotFound,
    ImageNotFound,
    InvalidParams,
    KeypairNotFound,
    NotFound,
    PolicyNotFound,
    PresetNotFound,
    ProjectNotFound,
    RegistryNotFound,
    ResourceGroupNotFound,
    TemplateNotFound,
    UserNotFound,
)
from backendai.manager.db import tables as t

from .change import Change
from .model import Target
from .store import record, shown

Row = dict[str, Any]
NAMES_TOLD_MAX: Final = 10
# Of the names of tables, and of the one thing in a row.
_ENDINGS: Final = (("ies", "y"), ("iases", "ias"), ("s", ""), ("", ""))

_NOT_FOUND: Final[Mapping[str, type[NotFound]]] = {
    "domains": DomainNotFound,
    "projects": ProjectNotFound,
    "users": UserNotFound,
    "keypairs": KeypairNotFound,
    "keypair_policies": PolicyNotFound,
    "user_policies": PolicyNotFound,
    "project_policies": PolicyNotFound,
    "resource_groups": ResourceGroupNotFound,
    "resource_presets": PresetNotFound,
    "session_templates": TemplateNotFound,
    "images": ImageNotFound,
    "image_aliases": ImageAliasNotFound,
    "container_registries": RegistryNotFound,
}


async def insert_row(
    change: Change, table: sa.Table, values: Row, *, domain: str | None = None
) -> Row:
    """The new row. Raises Conflict where there is one already, InvalidParams for a reference to
    what is not there."""
    await _check_references(change, table, values)
    with refusals_told():
        made = await change.connection.execute(sa.insert(table).values(values).returning(table))
    row = dict(made.mappings().one())
    await record(change, target_of(table, row, domain), before={}, after=shown(table, row))
    return row


async def update_row(
    change: Change, table: sa.Table, key: Row, values: Row, *, domain: str | None = None
) -> Row:
    """The row as it is now; what is so already is neither written nor noted.

    Raises as `insert_row`, and NotFound.
    """
    before = await lock_row(change, table, key)
    changed = {name: value for name, value in values.items() if before[name] != value}
    if not changed:
        return before
    await _check_references(change, table, changed)
    stamped = {"modified_at": change.at} if "modified_at" in table.c else {}
    statement = sa.update(table).where(*_where(table, key)).values({**changed, **stamped})
    with refusals_told():
        done = await change.connection.execute(statement.returning(table))
    await record(
        change,
        target_of(table, before, domain),
        before=shown(table, {name: before[name] for name in changed}),
        after=shown(table, changed),
    )
    return dict(done.mappings().one())


async def delete_row(
    change: Change, table: sa.Table, key: Row, *, domain: str | None = None, **more: Any
) -> Row:
    """What the row was. `more` is noted beside it. Raises NotFound, and Conflict while another row
    needs this one."""
    row = await lock_row(change, table, key)
    with refusals_told():
        await change.connection.execute(sa.delete(table).where(*_where(table, key)))
    before = {**shown(table, row), **more}
    await record(change, target_of(table, row, domain), before=before, after={})
    return row


async def lock_row(change: Change, table: sa.Table, key: Row) -> Row:
    """The row, which nobody else changes or refers to anew before this change ends."""
    statement = sa.select(table).where(*_where(table, key)).with_for_update()
    row = (await change.connection.execute(statement)).mappings().first()
    if row is None:
        raise _NOT_FOUND.get(table.name, NotFound)(", ".join(f"{each}" for each in key.values()))
    return dict(row)


def target_of(table: sa.Table, row: Mapping[str, Any], domain: str | None = None) -> Target:
    """People know users by email, images by name and everything else by its key. Pure."""
    many, one = next(pair for pair in _ENDINGS if table.name.endswith(pair[0]))
    kind = table.name.removesuffix(many) + one
    known_by = {"users": ["email"], "images": ["name"]}
    names = known_by.get(table.name) or [column.name for column in table.primary_key]
    domain = domain or row.get("domain_name") or (row["name"] if table is t.domains else None)
    return Target(kind, ":".join(str(row[name]) for name in names), domain)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Turns what Postgres refuses because of other rows into a Conflict in its words."""
    try:
        yield
    except IntegrityError as error:
        cause = getattr(error.orig, "__cause__", None)
        detail = getattr(cause, "detail", None) or "Another object stands against it."
        raise Conflict(str(detail)) from error


def _where(table: sa.Table, key: Row) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


async def _check_references(change: Change, table: sa.Table, values: Row) -> None:
    """Raises InvalidParams that names what there is, for each named thing that there is not."""
    problems: dict[str, str] = {}
    for column in table.c:
        value = values.get(column.name)
        for reference in column.foreign_keys:
            if isinstance(value, str):
                problem = await _find_problem(change, reference.column, value)
                problems |= {column.name: problem} if problem else {}
    if problems:
        raise InvalidParams("", problems)


async def _find_problem(change: Change, column: sa.Column[Any], value: str) -> str | None:
    found = sa.select(sa.literal(1)).where(column == value)
    if await change.connection.scalar(found):
        return None
    names = sa.select(column).order_by(column).limit(NAMES_TOLD_MAX)
    known = ", ".join(await change.connection.scalars(names))
    return f"there is no {value!r}; there are: {known or 'none'}"
