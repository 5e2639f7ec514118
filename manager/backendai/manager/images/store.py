"""Images by name, alias or id, and those that registries and nodes tell of."""

import contextlib
import difflib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import AgentStatus
from backendai.common.faults import ImageNotFound
from backendai.common.ids import IdSource
from backendai.common.images import CUSTOM_PREFIX
from backendai.manager.db.tables import agents, image_agents, image_aliases, images
from backendai.manager.gate.actor import Scope

from .custom import prefix_of
from .manifests import FoundImage
from .model import Image

IMAGES_MAX: Final = 2000
NEAR_MAX: Final = 5
_COLUMNS: Final = [
    images.c[name]
    for name in (
        "id",
        "name",
        "architecture",
        "registry",
        "tag",
        "digest",
        "size_bytes",
        "labels",
        "resource_limits",
    )
]


_nodes: Final = (
    sa.select(sa.func.array_agg(image_agents.c.agent_id))
    .where(image_agents.c.image_id == images.c.id)
    .correlate(images)
    .scalar_subquery()
)
_aliases: Final = (
    sa.select(sa.func.array_agg(image_aliases.c.alias))
    .where(image_aliases.c.image_id == images.c.id)
    .correlate(images)
    .scalar_subquery()
)


async def load_images(
    connection: AsyncConnection, *where: sa.ColumnElement[bool], count_max: int | None = IMAGES_MAX
) -> Sequence[Mapping[Any, Any]]:
    """Active images by name, those of users last, with their `aliases` and `agents`, the nodes that
    have them; both None where there are none."""
    columns = [*images.c, _nodes.label("agents"), _aliases.label("aliases")]
    statement = sa.select(*columns).where(images.c.is_active, *where)
    found = await connection.execute(
        statement.order_by(
            images.c.name.startswith(CUSTOM_PREFIX), images.c.name, images.c.architecture
        ).limit(count_max)
    )
    return found.mappings().all()


def visible_to(scope: Scope) -> list[sa.ColumnElement[bool]]:
    """Custom images are their owner's; all others everybody's."""
    if scope.user_id is None:
        return []
    name = images.c.name
    own = name.startswith(prefix_of(scope.user_id))
    return [sa.or_(~is_custom_row(), own)]


def is_custom_row() -> sa.ColumnElement[bool]:
    return images.c.name.startswith(CUSTOM_PREFIX)


async def get_image(
    connection: AsyncConnection, scope: Scope, reference: str, architecture: str
) -> Image:
    """The active image that `reference` names: canonical name, alias or id, or what its owner calls
    a custom one.

    A name without a tag means `latest`. Raises ImageNotFound with the nearest known names, or, when
    none is near, with some of those that there are.
    """
    row = (await connection.execute(_select(scope, reference, architecture))).mappings().first()
    if row is None:
        names = await _list_names(connection, scope, architecture)
        near = find_near(reference, names)
        raise ImageNotFound(
            f"{reference!r} for {architecture} is not known{_hint(near, names)}",
            {"image": reference, "architecture": architecture, "near": near},
        )
    return image_of(row)


def image_of(row: Mapping[Any, Any]) -> Image:
    return Image(**{column.name: row[column.name] for column in _COLUMNS})


async def take_in(conn: AsyncConnection, found: Sequence[FoundImage], ids: IdSource) -> int:
    """Make what a registry has known, also what was forgotten. Returns how many were not known.

    What administrators set stays.
    """
    rows = [_row_of(image, ids) for image in sorted(found, key=_key_of)]
    if not rows:
        return 0
    keys = sa.tuple_(images.c.name, images.c.architecture)
    known = sa.select(sa.func.count()).where(
        keys.in_([(row["name"], row["architecture"]) for row in rows]), images.c.is_active
    )
    count = await conn.scalar(known)
    statement = upsert(images).values(rows)
    told = ("registry", "tag", "digest", "size_bytes", "labels", "is_local", "is_active")
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "architecture"],
            set_={name: statement.excluded[name] for name in told},
        )
    )
    return len(rows) - int(count or 0)


async def take_in_local(conn: AsyncConnection) -> tuple[int, int]:
    """Make forgotten images of nodes known again: how many there are, how many were forgotten.
    Custom ones are on their way out of there."""
    there = images.c.is_local & images.c.id.in_(sa.select(image_agents.c.image_id))
    lost = ~images.c.is_active & ~is_custom_row()
    revived = await conn.execute(sa.update(images).where(there, lost).values(is_active=True))
    known = sa.select(sa.func.count()).select_from(images).where(there, images.c.is_active)
    count = await conn.scalar(known)
    return int(count or 0), revived.rowcount


def _key_of(image: FoundImage) -> tuple[str, str]:
    """In one order everywhere, so that two who write do not wait for each other."""
    return image.name, image.architecture


def _row_of(image: FoundImage, ids: IdSource) -> dict[str, Any]:
    return {
        "id": ids.uuid(),
        "name": image.name,
        "architecture": image.architecture,
        "registry": image.registry,
        "tag": image.tag,
        "digest": image.digest,
        "size_bytes": image.size_bytes,
        "labels": dict(image.labels),
        "is_local": False,
        "is_active": True,
    }


async def list_nodes(connection: AsyncConnection, image_id: uuid.UUID) -> list[str]:
    """The nodes that have an image."""
    return list(await connection.scalars(nodes_with(image_id).order_by(image_agents.c.agent_id)))


def nodes_with(image_id: uuid.UUID | sa.ColumnElement[uuid.UUID]) -> sa.Select[tuple[str]]:
    """Ids of the nodes that have an image; not of fenced ones, whose last word is kept."""
    on_node = image_agents.c
    return (
        sa.select(on_node.agent_id)
        .join_from(image_agents, agents, agents.c.id == on_node.agent_id)
        .where(on_node.image_id == image_id, agents.c.status != AgentStatus.TERMINATED.value)
    )


def _select(scope: Scope, reference: str, architecture: str) -> sa.Select[Any]:
    names = [reference]
    if ":" not in reference.rsplit("/", 1)[-1] and "@" not in reference:
        names.append(f"{reference}:latest")
    if scope.user_id is not None:
        names += [prefix_of(scope.user_id) + name for name in names]
    aliased = sa.select(image_aliases.c.image_id).where(image_aliases.c.alias == reference)
    matches: list[sa.ColumnElement[bool]] = [images.c.name.in_(names), images.c.id.in_(aliased)]
    with contextlib.suppress(ValueError):
        matches.append(images.c.id == uuid.UUID(reference))
    # The name itself wins over an alias of the same text.
    rank = sa.case((images.c.name == reference, 0), (images.c.name.in_(names), 1), else_=2)
    return (
        sa.select(*_COLUMNS)
        .where(
            sa.or_(*matches),
            images.c.architecture == architecture,
            images.c.is_active,
            *visible_to(scope),
        )
        .order_by(rank, images.c.name)
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
        return (
            "; no image is known yet: a node has to have one, or an administrator adds a registry"
        )
    more = f" and {len(names) - NEAR_MAX} more" if len(names) > NEAR_MAX else ""
    return f"; there are {', '.join(names[:NEAR_MAX])}{more}"


async def _list_names(
    connection: AsyncConnection, scope: Scope, architecture: str
) -> Sequence[str]:
    known = await connection.scalars(
        sa.select(images.c.name)
        .where(images.c.is_active, images.c.architecture == architecture, *visible_to(scope))
        .order_by(images.c.name)
        .limit(500)
    )
    return known.all()
