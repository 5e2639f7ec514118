"""What superadmins do to images: forget and change them, give them other names, look for more.
Owners forget their custom ones.

A forgotten image keeps its row, since sessions may wait for it; a rescan makes it known again. A
custom one is removed from its node instead (`discard.py`).
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.faults import Conflict, ImageNotFound, InsufficientPrivilege, InvalidParams
from backendai.common.images import is_custom
from backendai.common.slots import INFINITY, format_amount, parse_amount, parse_slot_name
from backendai.manager.accounts import fields
from backendai.manager.audit.change import Change
from backendai.manager.audit.model import Target
from backendai.manager.audit.rows import delete_row, insert_row, update_row
from backendai.manager.audit.store import record
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import EVERYTHING, user_scope
from backendai.manager.sessions.names import check_image_name
from backendai.manager.sessions.render import registry_of
from backendai.manager.tasks.store import begin_task

from .custom import prefix_of
from .model import Image
from .registries import list_rows
from .rescan import LOCAL, RESCAN
from .store import get_image, is_custom_row

ACCELERATORS_LABEL: Final = "ai.backend.accelerators"
ROLE_LABEL: Final = "ai.backend.role"
ROLES: Final = ("COMPUTE", "INFERENCE", "SYSTEM", "SERVICE")
SIZE_BYTES_MAX: Final = 1 << 62


async def rescan(change: Change, registry: str | None, project: str | None = None) -> uuid.UUID:
    """A background task that looks for images; without `registry` in all of them, and on the nodes.

    Raises InvalidParams for a registry that is not known.
    """
    await _check_registry(change, registry)
    return await begin_task(change, RESCAN, {"registry": registry, "project": project})


async def note_rescan(change: Change, registry: str | None, project: str | None = None) -> None:
    """Note one that no task stands for. Raises as `rescan`."""
    await _check_registry(change, registry)
    given = {"registry": registry, "project": project}
    await record(change, Target("container_registry", registry or "*"), before={}, after=given)


async def forget(change: Change, reference: str, architecture: str) -> None:
    """Superadmins forget any image, others custom ones of their own.

    Raises ImageNotFound, the same for what others own, and InsufficientPrivilege.
    """
    actor = change.actor
    image = await get_image(change.connection, user_scope(actor), reference, architecture)
    if not (actor.is_superadmin or is_custom(image.name)):
        raise InsufficientPrivilege(f"{image.name} is everybody's: only superadmins forget it.")
    await _forget(change, image.id)


async def forget_by_id(change: Change, text: str) -> None:
    """As `forget`, of whichever architecture. Raises ImageNotFound also for what is no id."""
    image = await _get_by_id(change, text)
    await forget(change, str(image.id), image.architecture)


async def untag(change: Change, text: str) -> None:
    """Custom images are in no registry: forgotten they leave their node. The tags of registries are
    removed there. Raises as `forget_by_id`, and Conflict."""
    image = await _get_by_id(change, text)
    if not is_custom(image.name):
        raise Conflict(f"{image.name}: remove the tag in its registry, and rescan that.")
    await forget(change, str(image.id), image.architecture)


async def _get_by_id(change: Change, text: str) -> Image:
    try:
        image_id = uuid.UUID(text)
    except ValueError:
        raise ImageNotFound(f"{text[:128]!r} is no id of an image") from None
    statement = sa.select(t.images.c.architecture).where(t.images.c.id == image_id)
    architecture = await change.connection.scalar(statement) or "x86_64"
    return await get_image(change.connection, user_scope(change.actor), str(image_id), architecture)


async def forget_all_of(change: Change, owner_id: uuid.UUID) -> None:
    """The custom images of a user."""
    is_own = (t.images.c.is_active, t.images.c.name.startswith(prefix_of(owner_id)))
    statement = sa.select(t.images.c.id).where(*is_own).order_by(t.images.c.name)
    for image_id in list(await change.connection.scalars(statement)):
        await _forget(change, image_id)


async def clear(change: Change, registry: str | None) -> None:
    """Forget all images of a registry, `local` for those without one; without it, all. Custom ones
    stay, since no rescan could bring them back."""
    where: list[sa.ColumnElement[bool]] = [t.images.c.is_active.is_(True), ~is_custom_row()]
    if registry is not None:
        where.append(t.images.c.registry == ("" if registry == LOCAL else registry))
    statement = sa.select(t.images.c.id).where(*where).order_by(t.images.c.name)
    for image_id in list(await change.connection.scalars(statement)):
        await _forget(change, image_id)


async def alias(change: Change, name: str, target: str, architecture: str) -> None:
    """Let `name` mean an image too. Raises ImageNotFound, InvalidParams and Conflict."""
    fields.read_fields({"alias": name}, {"alias": check_image_name})
    image = await get_image(change.connection, EVERYTHING, target, architecture)
    await insert_row(change, t.image_aliases, {"alias": name, "image_id": image.id})


async def dealias(change: Change, name: str) -> None:
    """Raises ImageAliasNotFound."""
    await delete_row(change, t.image_aliases, {"alias": name})


async def modify(
    change: Change, reference: str, architecture: str, props: Mapping[str, Any]
) -> None:
    """Null says nothing. Limits replace all that were set; what a registry tells comes back with
    the next rescan, limits stay. Raises ImageNotFound, InvalidParams and Conflict."""
    image = await get_image(change.connection, EVERYTHING, reference, architecture)
    given = fields.read_fields(props, _FIELDS)
    values = {name: given[name] for name in _PLAIN if name in given}
    values |= _renamed(image, given)
    labels = _labels_of(image, given)
    if labels != image.labels:
        values["labels"] = labels
    await update_row(change, t.images, {"id": image.id}, values)


async def _check_registry(change: Change, registry: str | None) -> None:
    if registry is None or registry == LOCAL:
        return
    known = [str(row["hostname"]) for row in await list_rows(change.connection)]
    if registry not in known:
        told = ", ".join([*known[:10], LOCAL])
        raise InvalidParams("", {"registry": f"there is no {registry[:128]!r}; there are: {told}"})


async def _forget(change: Change, image_id: uuid.UUID) -> None:
    await update_row(change, t.images, {"id": image_id}, {"is_active": False})
    names = sa.select(t.image_aliases.c.alias).where(t.image_aliases.c.image_id == image_id)
    for name in list(await change.connection.scalars(names)):
        await dealias(change, name)


def _renamed(image: Image, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a new name, made of the parts that are given. Pure."""
    if not {"name", "registry", "image", "tag"} & given.keys():
        return {}
    whole = given.get("name", image.name)
    registry = given.get("registry", registry_of(whole))
    path, tag = _split(whole.removeprefix(f"{registry_of(whole)}/"))
    path, tag = given.get("image", path), given.get("tag", tag)
    name = f"{registry}/{path}:{tag}" if registry else f"{path}:{tag}"
    if registry_of(name) != registry:
        raise InvalidParams("", {"name": f"{name[:128]!r} is read as one of {registry_of(name)!r}"})
    checked = fields.read_fields({"name": name}, {"name": check_image_name})
    return {**checked, "registry": registry, "tag": tag}


def _split(name: str) -> tuple[str, str]:
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def _labels_of(image: Image, given: Mapping[str, Any]) -> dict[str, str]:
    labels = dict(given.get("labels", image.labels))
    if "supported_accelerators" in given:
        labels[ACCELERATORS_LABEL] = ",".join(given["supported_accelerators"])
    if "type" in given:
        labels[ROLE_LABEL] = given["type"]
    return labels


def _role(value: Any) -> str:
    if value.upper() not in ROLES:
        raise ValueError(f"{value[:64]!r} is none of {', '.join(ROLES).lower()}")
    return str(value.upper())


def _size(value: Any) -> int:
    if not 0 <= value <= SIZE_BYTES_MAX:
        raise ValueError("write a number of bytes, not below zero")
    return int(value)


def _pairs(value: Any) -> dict[str, str]:
    if len(value) > fields.LIST_ITEMS_MAX:
        raise ValueError(f"write at most {fields.LIST_ITEMS_MAX} labels")
    return {
        fields.filled_line(pair.get("key") or ""): fields.text(pair.get("value") or "")
        for pair in value
    }


def read_limits(value: Any) -> dict[str, dict[str, str]]:
    """Slot -> {"min"?, "max"?}; a missing, empty or infinite edge sets none."""
    if len(value) > fields.LIST_ITEMS_MAX:
        raise ValueError(f"write at most {fields.LIST_ITEMS_MAX} limits")
    return dict(_limit(each) for each in value)


def _limit(given: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    name = parse_slot_name(given.get("key") or "")
    edges = {edge: parse_amount(name, given[edge]) for edge in ("min", "max") if given.get(edge)}
    if edges.get("max") == INFINITY:
        del edges["max"]
    if edges.get("min") == INFINITY:
        raise ValueError(f"{name}: a minimum is finite")
    if "max" in edges and edges.get("min", edges["max"]) > edges["max"]:
        raise ValueError(f"{name}: the minimum is more than the maximum")
    return str(name), {edge: format_amount(amount) for edge, amount in edges.items()}


_PLAIN: Final[Sequence[str]] = (
    "architecture",
    "is_local",
    "size_bytes",
    "digest",
    "resource_limits",
)
_FIELDS: Final[Mapping[str, fields.Read]] = {
    "name": check_image_name,
    "registry": fields.line,
    "image": check_image_name,
    "tag": fields.filled_line,
    "architecture": fields.slug,
    "is_local": fields.flag,
    "size_bytes": _size,
    "type": _role,
    "digest": fields.text,
    "labels": _pairs,
    "supported_accelerators": fields.names,
    "resource_limits": read_limits,
}
