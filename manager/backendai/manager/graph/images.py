"""Images in GraphQL. A canonical name is shown in its parts: registry, name, tag."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from backendai.common.slots import INFINITY, format_amount
from backendai.manager.gate.actor import Actor
from backendai.manager.images.registries import HIDDEN
from backendai.manager.images.store import image_of
from backendai.manager.sessions.render import registry_of

Row = Mapping[Any, Any]
_ACCELERATORS: Final = "ai.backend.accelerators"


def _repository(row: Row) -> str:
    """The name without registry and tag."""
    name = str(row["name"]).removeprefix(registry_of(row["name"]) + "/")
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _tag(row: Row) -> str:
    return str(row["name"]).rpartition("/")[2].partition(":")[2] or "latest"


def shown_registry(row: Row) -> Row:
    """A registry without its password; that there is one may be told."""
    config = {
        "url": row["url"],
        "type": row["type"],
        "project": row["projects"],
        "username": row["username"],
        "password": HIDDEN if row["password_encrypted"] else None,
        "ssl_verify": row["ssl_verify"],
    }
    return {"id": row["hostname"], "hostname": row["hostname"], "config": config}


def _limits(row: Row) -> list[dict[str, str]]:
    image = image_of(row)
    minimum, maximum = image.minimum_slots(), image.maximum_slots()
    return [
        {
            "key": name,
            "min": format_amount(minimum[name]),
            "max": format_amount(maximum.get(name, INFINITY)),
        }
        for name in {**minimum, **maximum}
    ]


def _accelerators(row: Row) -> list[str]:
    text = row["labels"].get(_ACCELERATORS, "")
    return [name.strip() for name in text.split(",") if name.strip()]


def agents_shown_to(actor: Actor) -> Callable[[Row], list[str]]:
    """Names of nodes are for superadmins."""
    return lambda row: sorted(row["agents"] or ()) if actor.is_superadmin else []


IMAGE_FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "id": lambda row: str(row["id"]),
    "name": _repository,
    "humanized_name": _repository,
    "tag": _tag,
    "registry": lambda row: registry_of(row["name"]),
    "architecture": lambda row: row["architecture"],
    "is_local": lambda row: row["is_local"],
    "digest": lambda row: row["digest"],
    "hash": lambda row: row["digest"],
    "labels": lambda row: [{"key": key, "value": text} for key, text in row["labels"].items()],
    "aliases": lambda row: sorted(row["aliases"] or ()),
    "size_bytes": lambda row: row["size_bytes"],
    "resource_limits": _limits,
    "supported_accelerators": _accelerators,
    "installed": lambda row: bool(row["agents"]),
}
