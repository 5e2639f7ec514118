"""PURE: images as administrators read them: lines of a table, and objects for programs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from backendai.common.slots import format_size
from backendai.manager.console import align

Row = Mapping[Any, Any]
_HEAD: Final = ("IMAGE", "ARCHITECTURE", "SIZE", "ALIASES", "NODES")


def images_table(rows: Sequence[Row]) -> list[str]:
    return align([_HEAD, *(_line(row) for row in rows)])


def image_object(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "image": row["name"],
        "architecture": row["architecture"],
        "registry": row["registry"],
        "digest": row["digest"],
        "size_bytes": row["size_bytes"],
        "aliases": sorted(row["aliases"] or ()),
        "nodes": sorted(row["agents"] or ()),
    }


def _line(row: Row) -> Sequence[str]:
    told = image_object(row)
    size = format_size(Decimal(told["size_bytes"]))
    names = (", ".join(told[key]) for key in ("aliases", "nodes"))
    return (told["image"], told["architecture"], size, *names)
