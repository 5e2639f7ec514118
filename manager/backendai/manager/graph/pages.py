"""Pages of lists: which rows are on it is decided on the list's own table, then they are joined.

A page is one query, its total a part of it; one more where the page lies behind the end. Far pages
are counted from the end of the list where that is nearer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from graphql import GraphQLError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.operators import asc_op, desc_op

from backendai.common.faults import BadRequest

from .minilang import (
    Column,
    Condition,
    Filter,
    Join,
    MinilangError,
    Order,
    compile_filter,
    compile_order,
)

# Pages of UIs that show all at once ask for as much.
LIMIT_MAX: Final = 1000
OFFSET_MAX: Final = 2**31 - 1
# From here on, skipping costs more than planning both ways.
FAR_OFFSET: Final = 1000
Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A kind of list.

    `key` tells its rows apart; `joined` is its table with all that a row may show; `order` is what
    rows are ordered by when nothing is asked.
    """

    table: sa.FromClause
    key: sa.ColumnElement[Any]
    joined: sa.FromClause
    columns: Mapping[str, Column]
    order: Sequence[sa.ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in their order, and how many there are on all pages; None: nobody asked."""

    rows: Sequence[Row]
    total: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part of a list that is asked for. Whose rows they are is told by conditions."""

    limit: int
    offset: int
    filter: str | None = None
    order: str | None = None
    rows: bool = True
    total: bool = True

    @classmethod
    def read(cls, args: Mapping[str, Any], fields: Iterable[str]) -> "Wanted":
        """From the arguments of a field and what is selected below it. Raises BadRequest."""
        limit, offset = args["limit"], args["offset"]
        if not (1 <= limit <= LIMIT_MAX and 0 <= offset <= OFFSET_MAX):
            raise BadRequest(f"limit must be 1 to {LIMIT_MAX} and offset 0 to {OFFSET_MAX}")
        return cls(
            limit,
            offset,
            args.get("filter"),
            args.get("order"),
            rows="items" in fields,
            total="total_count" in fields,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """`page` is the statement of the rows, with a column `total_of_all`; `count` is of all rows."""

    page: sa.Select[Any]
    count: sa.Select[Any]


async def load_page(
    connection: AsyncConnection,
    listing: Listing,
    wanted: Wanted,
    where: Sequence[Condition],
    shown: Sequence[sa.ColumnElement[Any]],
) -> Page:
    """Rows of the columns `shown`. Raises GraphQLError for a bad filter or order."""
    query = build_query(listing, wanted, where, shown)
    if not wanted.rows:
        total = await connection.scalar(query.count) if wanted.total else None
        return Page((), total)
    rows = (await connection.execute(query.page)).mappings().all()
    if not wanted.total or rows or not wanted.offset:
        total = rows[0]["total_of_all"] if rows and wanted.total else 0
        return Page(rows, total if wanted.total else None)
    return Page((), await connection.scalar(query.count))


def build_query(
    listing: Listing,
    wanted: Wanted,
    where: Sequence[Condition],
    shown: Sequence[sa.ColumnElement[Any]],
) -> Query:
    """PURE but for the errors of `load_page`."""
    narrowed = read_filter(listing, wanted.filter)
    ordered = read_order(listing, wanted.order)
    conditions = [*where, *(each.condition for each in narrowed)]
    named = [column for each in narrowed for column in each.columns]
    count = (
        sa.select(sa.func.count()).select_from(join_needed(listing, named)).where(*conditions)
    ).correlate(None)
    terms = order_terms(listing, ordered)
    shown_terms = [_bare(term).label(f"term_{place}") for place, term in enumerate(terms)]
    keys = (
        sa.select(listing.key.label("key"), *shown_terms)
        .select_from(join_needed(listing, [*named, *(ordered.columns if ordered else ())]))
        .where(*conditions)
    )
    total: sa.ColumnElement[Any]
    if wanted.total and wanted.offset >= FAR_OFFSET:
        total, page = _far_page(wanted, keys, count, terms)
    else:
        total = count.scalar_subquery() if wanted.total else sa.null()
        page = keys.order_by(*terms).limit(wanted.limit).offset(wanted.offset).subquery("page")
    rows = (
        sa.select(*shown, total.label("total_of_all"))
        .select_from(listing.joined.join(page, page.c.key == listing.key))
        .order_by(*(_directed(page.c[f"term_{n}"], term) for n, term in enumerate(terms)))
    )
    return Query(rows, count)


def order_terms(listing: Listing, ordered: Order | None) -> list[sa.ColumnElement[Any]]:
    """What rows are ordered by; at last by their key, which goes against what is asked.

    So the order `name` is `-name` read backwards, and an index that is one of them is both.
    """
    if ordered is None:
        return [*listing.order, listing.key]
    key = listing.key.asc() if _falls(ordered.terms[-1]) else listing.key.desc()
    return [*ordered.terms, key]


def _far_page(
    wanted: Wanted,
    keys: sa.Select[Any],
    count: sa.Select[Any],
    terms: Sequence[sa.ColumnElement[Any]],
) -> tuple[sa.ColumnElement[int], sa.Subquery]:
    """The total, and the keys of a page: skipped to from the end of the list that is nearer.

    The database does one of the two only; which is known when it has counted.
    """
    total = sa.select(count.cte("all_rows").c[0]).scalar_subquery()
    behind = total - wanted.offset
    near_start = keys.where(behind > wanted.offset).order_by(*terms)
    near_end = keys.where(behind <= wanted.offset).order_by(*map(_turned, terms))
    either = sa.union_all(
        near_start.limit(wanted.limit).offset(wanted.offset).subquery().select(),
        near_end.limit(sa.func.greatest(sa.func.least(behind, wanted.limit), 0))
        .offset(sa.func.greatest(behind - wanted.limit, 0))
        .subquery()
        .select(),
    )
    # Never more anyhow, but so the planner knows how few they are.
    return total, either.limit(wanted.limit).subquery("page")


def _turned(term: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The other way round; so are missing values, which the database takes for the greatest."""
    return _bare(term).asc() if _falls(term) else _bare(term).desc()


def _directed(column: sa.ColumnElement[Any], like: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return column.desc() if _falls(like) else column.asc()


def _falls(term: sa.ColumnElement[Any]) -> bool:
    return isinstance(term, sa.UnaryExpression) and term.modifier is desc_op


def _bare(term: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """What is ordered by, without a direction."""
    if isinstance(term, sa.UnaryExpression) and term.modifier in (asc_op, desc_op):
        return term.element
    return term


def join_needed(listing: Listing, columns: Iterable[Column]) -> sa.FromClause:
    """The list's table with those tables only that some column needs."""
    joins: dict[int, Join] = {id(join): join for column in columns for join in column.joins}
    core = listing.table
    for join in joins.values():
        core = core.join(join.table, join.on, isouter=join.optional)
    return core


def read_filter(listing: Listing, text: str | None) -> list[Filter]:
    """None or one. Raises GraphQLError."""
    if not text:
        return []
    try:
        return [compile_filter(text, listing.columns)]
    except MinilangError as error:
        raise GraphQLError(f"Query filter parsing error: {error}") from None


def read_order(listing: Listing, text: str | None) -> Order | None:
    """Raises GraphQLError."""
    if not text:
        return None
    try:
        return compile_order(text, listing.columns)
    except MinilangError as error:
        raise GraphQLError(f"Query ordering parsing error: {error}") from None
