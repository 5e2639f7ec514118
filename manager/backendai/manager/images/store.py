"""Reads images by name, alias or id."""

import contextlib
import difflib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import ImageNotFound
from backendai.manager.db.tables import image_aliases, images

from .model import Image

NEAR_MAX: Final = 5
_COLUMNS: Final = [
    images.c[name]
    for name in ("id", "name", "architecture", "registry", "tag", "digest", "size_bytes", "labels")
]


async def get_image(connection: AsyncConnection, reference: str, architecture: str) -> Image:
    """The active image that `reference` names: canonical name, alias or id.

    A name without a tag means `latest`. Raises ImageNotFound with the nearest known names, or, when
    none is near, with some of those that there are.
    """
    row = (await connection.execute(_select(reference, architecture))).mappings().first()
    if row is None:
        names = await _list_names(connection, architecture)
        near = find_near(reference, names)
        raise ImageNotFound(
            f"{reference!r} for {architecture} is not known{_hint(near, names)}",
            {"image": reference, "architecture": architecture, "near": near},
        )
    return image_of(row)


def image_of(row: Mapping[Any, Any]) -> Image:
    return Image(**{column.name: row[column.name] for column in _COLUMNS})


def _select(reference: str, architecture: str) -> sa.Select[Any]:
    names = [reference]
    if ":" not in reference.rsplit("/", 1)[-1] and "@" not in reference:
        names.append(f"{reference}:latest")
    aliased = sa.select(image_aliases.c.image_id).where(image_aliases.c.alias == reference)
    matches: list[sa.ColumnElement[bool]] = [images.c.name.in_(names), images.c.id.in_(aliased)]
    with contextlib.suppress(ValueError):
        matches.append(images.c.id == uuid.UUID(reference))
    # The name itself wins over an alias of the same text.
    rank = sa.case((images.c.name == reference, 0), (images.c.name.in_(names), 1), else_=2)
    return (
        sa.select(*_COLUMNS)
        .where(sa.or_(*matches), images.c.architecture == architecture, images.c.is_active)
        .order_by(rank)
        .limit(1)
    )


def find_near(reference: str, names: Sequence[str]) -> list[str]:
    """The names that somebody who wrote `reference` may have meant, the nearest first. PURE."""
    near = difflib.get_close_matches(reference, names, NEAR_MAX, 0.5)
    part = reference.rsplit("/", 1)[-1].split(":")[0]
    return near or [name for name in names if part and part in name][:NEAR_MAX]


def _hint(near: Sequence[str], names: Sequence[str]) -> str:
    if near:
        return f"; did you mean {', '.join(near)}?"
    if not names:
        return "; no image is known yet"
    more = f" and {len(names) - NEAR_MAX} more" if len(names) > NEAR_MAX else ""
    return f"; there are {', '.join(names[:NEAR_MAX])}{more}"


async def _list_names(connection: AsyncConnection, architecture: str) -> Sequence[str]:
    known = await connection.scalars(
        sa.select(images.c.name)
        .where(images.c.is_active, images.c.architecture == architecture)
        .order_by(images.c.name)
        .limit(500)
    )
    return known.all()
