"""A hundred thousand sessions in the history: a page is found by an index, whichever it is."""

import asyncio
import itertools
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.common.enums import UserRole
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.graph import pages
from backendai.manager.graph.pages import Wanted, build_query
from backendai.manager.graph.session_columns import OF_AGENTS, SESSIONS, SHOWN
from backendai.manager.graph.sessions import conditions_of
from tests.integration.manager.graph import history

# As `ps` sends them: by default, `--running`, `--dead`, `--all`.
STATUSES = (
    "PENDING,SCHEDULED,PULLING,PREPARING,RUNNING,RUNNING_DEGRADED,TERMINATING,ERROR",
    "PREPARING,RUNNING,RUNNING_DEGRADED",
    "CANCELLED,TERMINATED",
    "PENDING,SCHEDULED,PULLING,PREPARING,RUNNING,RESTARTING,RUNNING_DEGRADED,TERMINATING,"
    "TERMINATED,ERROR,CANCELLED",
    None,
)
ACTORS = {
    "user": history.actor_of(4),
    "admin": history.actor_of(4, UserRole.ADMIN),
    "superadmin": history.actor_of(4, UserRole.SUPERADMIN),
}
FILTERS = (
    None,
    'name == "session-12345"',
    'name like "session-123%"',
    'status == "RUNNING" & name contains "5"',
    'created_at > "2024-03-01" & cluster_size == 1',
)


@pytest.fixture(scope="module")
def dsn(postgres_dsn: str) -> str:
    async def fill() -> None:
        database = open_database(postgres_dsn)
        await history.fill(database)
        await database.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(fill())
    return postgres_dsn


def open_database(dsn: str) -> Database:
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    settings = {"timezone": "UTC", "jit": "off"}
    return Database(create_async_engine(address, connect_args={"server_settings": settings}))


def statement_of(actor: Actor, wanted: Wanted, **args: Any) -> str:
    """The page's query with its values in it."""
    query = build_query(SESSIONS, wanted, conditions_of(actor, args), SHOWN)
    options = {"literal_binds": True}
    return str(query.page.compile(dialect=postgresql.dialect(), compile_kwargs=options))


def scans_of(plan: dict[str, Any], *, with_total: bool) -> Iterator[tuple[str, str]]:
    """How which table is read. The total is counted once, before the rest."""
    if plan.get("Parent Relationship") == "InitPlan" and not with_total:
        return
    yield plan["Node Type"], plan.get("Relation Name", "")
    for inner in plan.get("Plans", ()):
        yield from scans_of(inner, with_total=with_total)


async def explain(connection: Any, statement: str, *, with_total: bool) -> set[tuple[str, str]]:
    text = f"EXPLAIN (FORMAT JSON) {statement.replace('%', '%%')}"
    found = (await connection.exec_driver_sql(text)).scalar()
    return set(scans_of(found[0]["Plan"], with_total=with_total))


@pytest.mark.parametrize("name", ACTORS)
async def test_no_page_of_sessions_reads_the_whole_table(dsn: str, name: str) -> None:
    """Of any role, with any of the statuses and the filters that people send."""
    database = open_database(dsn)
    async with database.begin() as connection:
        cases = itertools.product(STATUSES, FILTERS, (0, 1000), (None, "AK4"))
        for status, text, offset, access_key in cases:
            wanted = Wanted(20, offset, filter=text)
            statement = statement_of(ACTORS[name], wanted, status=status, access_key=access_key)
            # To count what is nearly everything, everything is read once: cheaper from the table.
            with_total = name == "user" or access_key is not None or status in STATUSES[:2]
            scans = await explain(connection, statement, with_total=with_total)
            assert ("Seq Scan", "sessions") not in scans, (status, text, access_key, scans)
            assert ("Seq Scan", "kernels") not in scans, (status, text, access_key, scans)
    await database.close()


@pytest.mark.parametrize("offset", [0, history.SESSIONS // 2])
async def test_an_order_is_read_from_an_index(dsn: str, offset: int) -> None:
    """Up and down, and whichever end is nearer; ids are sorted of those that are equal only."""
    orders = {name for name, column in SESSIONS.columns.items() if column.orderable}
    # To be read from the history; and far away, from the kernels.
    orders -= {"scheduled_at", *((OF_AGENTS | {"image"}) if offset else ())}
    database = open_database(dsn)
    async with database.begin() as connection:
        for order in (sign + name for name in sorted(orders) for sign in ("", "-")):
            statement = statement_of(ACTORS["superadmin"], Wanted(20, offset, order=order))
            found: Any = (
                await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}")
            ).scalar()
            assert max(sorted_rows(found[0]["Plan"]), default=0) <= 20, (order, found)
    await database.close()


def sorted_rows(plan: dict[str, Any]) -> Iterator[int]:
    """Of each part of a plan that has to see all its rows before it knows the first."""
    if plan["Node Type"] == "Sort":
        yield plan["Plan Rows"]
    for inner in plan.get("Plans", ()):
        yield from sorted_rows(inner)


async def test_a_session_is_ordered_by_when_it_was_scheduled_last(dsn: str) -> None:
    """Once, however often it was; one that never was comes behind, and no filter takes it."""
    database = open_database(dsn)
    names = ["session-11", "session-12", "session-13"]
    twice, once, never = (uuid.UUID(int=1_000_000 + number) for number in (11, 12, 13))
    rows = ((twice, None, 1), (once, None, 2), (twice, None, 3), (never, uuid.uuid4(), 4))
    text = f"name in {json.dumps(names)}"
    async with database.engine.connect() as connection:
        for session, kernel, hour in rows:
            at = datetime(2024, 5, 1, hour, tzinfo=UTC)
            move = {"session_id": session, "kernel_id": kernel, "at": at, "event": "place"}
            await connection.execute(sa.insert(t.history).values(to_status="SCHEDULED", **move))

        async def found(where: str, order: str = "scheduled_at") -> list[str]:
            wanted = Wanted(10, 0, f"{text}{where}", order)
            page = await pages.load_page(connection, SESSIONS, wanted, [], [t.sessions.c.name])
            assert page.total == len(page.rows)
            return [row["name"] for row in page.rows]

        assert await found("") == [names[1], names[0], names[2]]
        assert await found("", "-scheduled_at") == [names[2], names[0], names[1]]
        assert await found(' & scheduled_at < "2024-05-01T02:00"') == []
        assert await found(' & scheduled_at > "2024-05-01T02:00"') == [names[0]]
        assert await found(' & !(scheduled_at > "2024-05-01T02:00")') == [names[1]]
        assert await found(" & scheduled_at is null") == [names[2]]
        await connection.rollback()
    await database.close()


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ('name contains "SION-1234"', 11),
        ('name ilike "Session-1234_"', 10),
        ('name like "Session-1234_"', 0),
        ('user_email contains "USER39@"', history.SESSIONS // history.USERS),
        ('full_name contains "ÜSER"', 0),
    ],
)
async def test_a_part_of_a_text_is_found_in_any_case(dsn: str, pattern: str, count: int) -> None:
    database = open_database(dsn)
    async with database.begin() as connection:
        page = await pages.load_page(
            connection, SESSIONS, Wanted(1, 0, filter=pattern), [], [SESSIONS.key]
        )
    await database.close()
    assert page.total == count


async def test_every_page_is_right_and_every_total_too(dsn: str) -> None:
    database = open_database(dsn)
    actor = ACTORS["superadmin"]
    async with database.begin() as connection:
        for offset in (0, 49_990, history.SESSIONS - 5, history.SESSIONS):
            wanted = Wanted(10, offset)
            page = await pages.load_page(
                connection, SESSIONS, wanted, conditions_of(actor, {}), SHOWN
            )
            newest = history.SESSIONS - 1 - offset
            expected = [f"session-{n}" for n in range(newest, max(newest - 10, -1), -1)]
            assert [row["name"] for row in page.rows] == expected
            assert page.total == history.SESSIONS
        live = await pages.load_page(
            connection,
            SESSIONS,
            Wanted(100, 0, filter='user_email == "user0@example.com"', order="name"),
            conditions_of(actor, {"status": STATUSES[0]}),
            SHOWN,
        )
    await database.close()
    assert live.total == history.SESSIONS // history.LIVE_EACH
    names = [row["name"] for row in live.rows]
    assert names == sorted(names)
    assert {row["full_name"] for row in live.rows} == {"User 0"}


@pytest.mark.parametrize(
    "order", [None, "-terminated_at", "terminated_at", "status,-name", "-user_email"]
)
async def test_a_far_page_is_the_same_from_either_end(dsn: str, order: str | None) -> None:
    """Also where values are missing, and where the last page is not full."""
    database = open_database(dsn)
    actor, text = ACTORS["superadmin"], 'group_name == "project-4"'
    everything = (
        sa.select(SESSIONS.key)
        .select_from(SESSIONS.joined)
        .where(SESSIONS.columns["group_name"].expression == "project-4")
        .order_by(*pages.order_terms(SESSIONS, pages.read_order(SESSIONS, order)))
    )
    async with database.begin() as connection:
        expected = list(await connection.scalars(everything))
        count = len(expected)
        for offset in (pages.FAR_OFFSET, count // 2, count // 2 + 1, count - 7, count, count + 1):
            wanted = Wanted(10, offset, text, order)
            page = await pages.load_page(
                connection, SESSIONS, wanted, conditions_of(actor, {}), [SESSIONS.key]
            )
            assert [row["id"] for row in page.rows] == expected[offset : offset + 10], offset
            assert page.total == count
    await database.close()
