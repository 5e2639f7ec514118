"""What dies with an account that is purged: every row that refers to it, found by the tables.

Whatever table comes later is covered by its foreign keys: a reference that may be null is cleared,
and a row that cannot be without its reference goes with it.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.faults import Conflict
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import refusals_told
from backendai.manager.db import tables as t
from backendai.manager.sessions.store import FINAL_WORDS

TOLD_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Erasure:
    """Rows that go, or, with `column`, rows that no longer refer to what goes."""

    table: sa.Table
    where: sa.ColumnElement[bool]
    column: str | None = None


def plan_erasure(table: sa.Table, where: sa.ColumnElement[bool]) -> Iterator[Erasure]:
    """What has to go before the rows of `table` can, in order; those rows themselves are last."""
    for child in table.metadata.sorted_tables:
        for column in child.c:
            for reference in column.foreign_keys:
                if reference.column.table is table and child is not table:
                    met = column.in_(sa.select(reference.column).where(where))
                    if column.nullable:
                        yield Erasure(child, met, column.name)
                    else:
                        yield from plan_erasure(child, met)
    yield Erasure(table, where)


async def erase_referrers(
    change: Change, table: sa.Table, where: sa.ColumnElement[bool]
) -> dict[str, int]:
    """Carry the plan out, but for the rows of `table` itself. Returns how many rows of which."""
    counts: dict[str, int] = {}
    *plan, _ = plan_erasure(table, where)
    for each in plan:
        statement: Any = sa.delete(each.table).where(each.where)
        if each.column is not None:
            statement = sa.update(each.table).where(each.where).values({each.column: None})
        with refusals_told():
            done = await change.connection.execute(statement)
        if done.rowcount:
            counts[each.table.name] = counts.get(each.table.name, 0) + done.rowcount
    return counts


async def refuse_while_live(change: Change, where: sa.ColumnElement[bool], whose: str) -> None:
    """Raises Conflict that names sessions which are not over. The row that they refer to is locked
    by then, so that none can begin meanwhile."""
    columns = (t.sessions.c.name, t.sessions.c.id)
    statement = sa.select(*columns, sa.func.count().over().label("all")).where(
        where, t.sessions.c.status.not_in(FINAL_WORDS)
    )
    found = await change.connection.execute(
        statement.order_by(t.sessions.c.created_at).limit(TOLD_MAX)
    )
    live: list[tuple[str, uuid.UUID, int]] = [tuple(row) for row in found]
    if live:
        told = ", ".join(f"{name} ({session_id})" for name, session_id, _ in live)
        more = f" and {live[0][2] - len(live)} more" if live[0][2] > len(live) else ""
        raise Conflict(
            f"Sessions of {whose} are not over: {told}{more}. End them first.",
            {"sessions": [str(session_id) for _, session_id, _ in live]},
        )
