"""Relay's connections: lists whose pages are asked for by cursors, from either end.

A page is one query with its total, however it is asked for; so are the pages of all owners at once.
A cursor is a place in the list as it was when it was read.
"""

import base64
import binascii
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import BadRequest

from .minilang import Condition
from .pages import (
    LIMIT_MAX,
    OFFSET_MAX,
    Listing,
    Row,
    join_needed,
    order_terms,
    read_filter,
    read_order,
)

_CURSOR: Final = "Place"


@dataclass(frozen=True, slots=True)
class Span:
    """The places between `after` and `before`, counted from 1; of these the first `count`, or the
    last."""

    after: int
    before: int
    count: int
    from_end: bool

    @classmethod
    def read(cls, args: Mapping[str, Any]) -> "Span":
        """From `first`, `last`, `after`, `before` and `offset`. Raises BadRequest."""
        first, last, offset = args.get("first"), args.get("last"), args.get("offset") or 0
        if first is not None and last is not None:
            raise BadRequest("ask for the first ones or for the last ones, not for both")
        count = next((many for many in (first, last) if many is not None), LIMIT_MAX)
        if not (0 <= count <= LIMIT_MAX and 0 <= offset <= OFFSET_MAX):
            raise BadRequest(f"first and last must be 0 to {LIMIT_MAX}, offset 0 to {OFFSET_MAX}")
        after = _read_cursor("after", args.get("after"), 0) + offset
        before = _read_cursor("before", args.get("before"), OFFSET_MAX)
        return cls(after, before, count, from_end=last is not None)

    def holds(
        self, place: sa.ColumnElement[int], total: sa.ColumnElement[int]
    ) -> sa.ColumnElement[bool]:
        within = sa.and_(place > self.after, place < self.before)
        if self.from_end:
            return sa.and_(within, place > sa.func.least(total, self.before - 1) - self.count)
        return sa.and_(within, place <= self.after + self.count)


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """What lists belong to: a table joined to theirs, and the column that tells which is whose."""

    table: sa.FromClause
    on: sa.ColumnElement[bool]
    column: sa.ColumnElement[Any]


@dataclass(slots=True)
class Part:
    """The rows that are asked for, each with its `place`, and how many the whole list has."""

    rows: list[Row] = field(default_factory=list)
    total: int = 0


def write_id(kind: str, own: object) -> str:
    """The id of a thing among the things of all types."""
    return base64.b64encode(f"{kind}:{own}".encode()).decode("ascii")


def read_id(told: str) -> tuple[str, str]:
    """The type, and the id within it. Raises BadRequest."""
    try:
        kind, _, own = base64.b64decode(told, validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        kind = own = ""
    if not kind or not own:
        raise BadRequest(f"{told[:64]!r} is no id of a node")
    return kind, own


async def load_parts(
    conn: AsyncConnection,
    listing: Listing,
    args: Mapping[str, Any],
    where: Sequence[Condition],
    shown: Sequence[sa.ColumnElement[Any]],
    owner: Owner | None = None,
) -> Mapping[Any, Part]:
    """By owner, or with None for its key where a list has none; empty parts for all others.

    Raises BadRequest, and GraphQLError for a bad filter or order.
    """
    found = await conn.execute(_build_query(listing, args, where, shown, owner))
    parts: dict[Any, Part] = defaultdict(Part)
    for row in found.mappings():
        part = parts[row["owner"]]
        part.total = row["total"]
        if row["is_asked"]:
            part.rows.append(row)
    return parts


def _build_query(
    listing: Listing,
    args: Mapping[str, Any],
    where: Sequence[Condition],
    shown: Sequence[sa.ColumnElement[Any]],
    owner: Owner | None,
) -> sa.Select[Any]:
    """The first row of a list always comes too: it brings the total."""
    narrowed, ordered = (
        read_filter(listing, args.get("filter")),
        read_order(listing, args.get("order")),
    )
    columns = [column for each in narrowed for column in each.columns]
    core = join_needed(listing, [*columns, *(ordered.columns if ordered else ())])
    if owner is not None:
        core = core.join(owner.table, owner.on)
    owned_by = sa.null() if owner is None else owner.column
    terms = order_terms(listing, ordered)
    ranked = (
        sa.select(
            listing.key.label("key"),
            owned_by.label("owner"),
            sa.func.row_number().over(partition_by=owned_by, order_by=terms).label("place"),
            sa.func.count().over(partition_by=owned_by).label("total"),
        )
        .select_from(core)
        .where(*where, *(each.condition for each in narrowed))
        .subquery("ranked")
    )
    is_asked = Span.read(args).holds(ranked.c.place, ranked.c.total)
    return (
        sa.select(
            *shown, ranked.c.owner, ranked.c.place, ranked.c.total, is_asked.label("is_asked")
        )
        .select_from(listing.joined.join(ranked, ranked.c.key == listing.key))
        .where(sa.or_(is_asked, ranked.c.place == 1))
        .order_by(ranked.c.place)
    )


def render(part: Part) -> dict[str, Any]:
    """The connection as GraphQL has it."""
    places = [row["place"] for row in part.rows]
    return {
        "count": part.total,
        "edges": [{"node": row, "cursor": write_id(_CURSOR, row["place"])} for row in part.rows],
        "pageInfo": {
            "hasPreviousPage": bool(places) and places[0] > 1,
            "hasNextPage": bool(places) and places[-1] < part.total,
            "startCursor": write_id(_CURSOR, places[0]) if places else None,
            "endCursor": write_id(_CURSOR, places[-1]) if places else None,
        },
    }


def _read_cursor(name: str, cursor: str | None, default: int) -> int:
    if cursor is None:
        return default
    kind, place = read_id(cursor)
    is_place = place.isdecimal() and len(place) <= len(str(OFFSET_MAX))
    if kind != _CURSOR or not is_place or int(place) > OFFSET_MAX:
        raise BadRequest(f"{name} must be a cursor of this list")
    return int(place)
