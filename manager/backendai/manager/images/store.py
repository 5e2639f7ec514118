"""Reads images by name, alias or id."""

import contextlib
import difflib
import uuid
from collections.abc import Mapping
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

    A name without a tag means `latest`. Raises ImageNotFound with the nearest known names.
    """
    row = (await connection.execute(_select(reference, architecture))).mappings().first()
    if row is None:
        near = await _near(connection, reference, architecture)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ImageNotFound(
            f"{reference!r} for {architecture} is not known{hint}",
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


async def _near(connection: AsyncConnection, reference: str, architecture: str) -> list[str]:
    known = await connection.scalars(
        sa.select(images.c.name)
        .where(images.c.is_active, images.c.architecture == architecture)
        .order_by(images.c.name)
        .limit(500)
    )
    names = known.all()
    near = difflib.get_close_matches(reference, names, NEAR_MAX, 0.5)
    part = reference.rsplit("/", 1)[-1].split(":")[0]
    return near or [name for name in names if part and part in name][:NEAR_MAX]
