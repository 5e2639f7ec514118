"""Presets: made, changed and removed. They promise nothing, so none is ever in use."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.common.faults import InvalidParams
from backendai.common.slots import INFINITY, MEM, ResourceSlots, parse_size
from backendai.manager.accounts import fields
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import Row, delete_row, insert_row, update_row
from backendai.manager.db import tables as t


async def create(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """Raises InvalidParams and Conflict."""
    values = fields.read_fields({**props, "name": name}, {**FIELDS, "name": fields.slug})
    return _sound(await insert_row(change, t.resource_presets, values))


async def modify(change: Change, name: str, props: Mapping[str, Any]) -> Row:
    """Raises InvalidParams and PresetNotFound."""
    values = fields.read_fields(props, FIELDS)
    return _sound(await update_row(change, t.resource_presets, {"name": name}, values))


async def delete(change: Change, name: str) -> None:
    """Raises PresetNotFound."""
    await delete_row(change, t.resource_presets, {"name": name})


def _slots(value: Any) -> dict[str, str]:
    amounts = fields.slots(value)
    if endless := [name for name, amount in amounts.items() if amount == str(INFINITY)]:
        raise ValueError(f"{', '.join(endless)}: nobody can be given an endless amount")
    return amounts


def _size(value: Any) -> int | None:
    """Bytes, from a text such as 64m; zero leaves it to the image."""
    size = parse_size(value)
    if size == INFINITY:
        raise ValueError("nobody can be given an endless amount")
    return int(size) or None


FIELDS: Final[Mapping[str, fields.Read]] = {"resource_slots": _slots, "shared_memory": _size}


def _sound(row: Row) -> Row:
    """Raises InvalidParams, which undoes the change, where no session could have what it says."""
    memory = ResourceSlots.parse(row["resource_slots"])[MEM]
    if row["shared_memory"] is not None and memory and row["shared_memory"] >= memory:
        raise InvalidParams("", {"shared_memory": "is a part of mem: write less than that"})
    return row
