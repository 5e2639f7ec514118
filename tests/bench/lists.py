"""Line 5 of the API's goals: lists of sessions over a history of a hundred thousand.

Every filter, every order, and the first, a middle and the last page, through GraphQL as `graph`
asks it, beside the same SELECT by asyncpg as one writes it by hand: all tables joined, then sorted
and skipped. The figure is CPU of this process and of the database's backend together, in
alternating rounds, so that other load on the machine changes it little.
"""

import asyncio
import shutil
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.common.enums import UserRole
from backendai.common.lifecycle import SessionStatus
from backendai.halfstack.stores import run_stores
from backendai.manager.db import tables as t
from backendai.manager.db.engine import SORT_MEMORY, Database
from backendai.manager.graph.columns import time
from backendai.manager.graph.execute import Graph, GraphContext
from backendai.manager.graph.minilang import Column
from backendai.manager.graph.pages import join_needed, order_terms, read_filter, read_order
from backendai.manager.graph.session_columns import SESSIONS, shown_for
from backendai.manager.graph.sessions import conditions_of
from tests.bench.graph import FIELDS
from tests.bench.harness import Row, show_seconds
from tests.integration.manager.graph import history
from tests.unit.manager.graph.whole import make_whole

NEEDS_STACK: Final = False
GOAL_SECONDS: Final = 0.1
ROUNDS: Final = 3
LIMIT: Final = 100
SLOWEST_SHOWN: Final = 5
OFFSETS: Final = (0, history.SESSIONS // 2, history.SESSIONS - LIMIT)
DOCUMENT: Final = (
    "query($offset: Int!, $filter: String, $order: String)"
    f" {{ compute_session_list(limit: {LIMIT}, offset: $offset, filter: $filter, order: $order)"
    f" {{ items {{ {FIELDS} }} total_count }} }}"
)
# Of each column that may be filtered: what few sessions have, or nearly all.
FILTERS: Final = (
    'access_key == "AK4"',
    'agent_id == "i-1"',
    'cluster_mode == "SINGLE_NODE"',
    "cluster_size == 1",
    'created_at > "2024-02-01"',
    'domain_name == "default"',
    'full_name == "User 4"',
    'group_name == "project-4"',
    'id == "000000000000000000000000000f4240"',
    'image == "python:3.11"',
    'image ilike "%cuda%"',
    'name == "session-77"',
    'name contains "9999"',
    'name contains "SION-99"',
    'result == "UNDEFINED"',
    'scaling_group == "default"',
    'scheduled_at > "2024-02-01"',
    "starts_at isnot null",
    'startup_command contains "x"',
    'status == "RUNNING"',
    'status == "TERMINATED"',
    'status_info == "user-requested"',
    'terminated_at > "2024-01-01"',
    'type == "BATCH"',
    'user_email like "user1%"',
)
# One of those that mean the same.
_SAME: Final = frozenset({"agents", "agent_ids"})
CONTEXT: Final = GraphContext(history.actor_of(0, UserRole.SUPERADMIN))
_SCHEDULED_AT: Final = (
    sa.select(sa.func.max(t.history.c.at))
    .where(
        t.history.c.session_id == t.sessions.c.id,
        t.history.c.kernel_id.is_(None),
        t.history.c.to_status == SessionStatus.SCHEDULED.value,
    )
    .correlate(t.sessions)
    .scalar_subquery()
)
_BY_HAND: Final = replace(
    SESSIONS, columns={**SESSIONS.columns, "scheduled_at": Column(_SCHEDULED_AT, time)}
)
# One process for one page: workers would hide what it costs.
_SETTINGS: Final = {
    "timezone": "UTC",
    "jit": "off",
    "work_mem": SORT_MEMORY,
    "max_parallel_workers_per_gather": "0",
}
_SCHEDULED: Final = """
INSERT INTO history (session_id, at, event, to_status)
SELECT s.id, s.created_at + step.number * interval '1 second', step.status, step.status
FROM sessions AS s, (VALUES (0, 'PENDING'), (1, 'SCHEDULED'), (2, 'PREPARING'), (3, 'RUNNING'))
  AS step (number, status)
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One page that is asked for."""

    offset: int
    filter: str | None = None
    order: str | None = None

    def __str__(self) -> str:
        return f"{self.filter or self.order or 'newest'} from {self.offset}"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of one page: the best of ours and of the SELECT."""

    ask: Ask
    ours: float
    peer: float


def measure() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="bench-lists-"))
    try:
        with asyncio.Runner() as runner:
            costs = runner.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return list(_rows(costs))


def list_asks() -> list[Ask]:
    """Each filter, each order and none, at each place."""
    orders = [name for name, column in SESSIONS.columns.items() if column.orderable]
    falling = [f"-{name}" for name in sorted(set(orders) - _SAME)]
    asked = [(None, None), *((each, None) for each in FILTERS), *((None, each) for each in falling)]
    return [Ask(offset, *each) for each in asked for offset in OFFSETS]


def _rows(costs: Sequence[Cost]) -> Iterator[Row]:
    """The goal, the ratio to the SELECT, and what is slowest."""
    ratio = statistics.median(cost.ours / cost.peer for cost in costs)
    ours, peer = _p95([cost.ours for cost in costs]), _p95([cost.peer for cost in costs])
    told = (show_seconds(ours), show_seconds(peer))
    yield Row(
        "API 5", f"p95 of {len(costs)} pages, CPU", ours * 1e3, GOAL_SECONDS * 1e3, "ms", *told
    )
    yield Row("API 5", "p95 beside that of their SELECTs", ours / peer, None, "x", *told)
    yield Row("API 5", "a page beside its SELECT, median", ratio, None)
    for cost in sorted(costs, key=lambda each: -each.ours)[:SLOWEST_SHOWN]:
        both = (show_seconds(cost.ours), show_seconds(cost.peer))
        yield Row("", f"  {cost.ask}", cost.ours / cost.peer, None, "x", *both)


def _p95(samples: Sequence[float]) -> float:
    return statistics.quantiles(samples, n=20)[-1]


async def _measure(folder: Path) -> list[Cost]:
    async with run_stores(folder) as stores, _filled(stores.postgres) as database:
        async with database.engine.connect() as held:
            # The pool has one connection more, so this one is ours' and stays so.
            raw = await held.get_raw_connection()
            backend = raw.driver_connection
            assert isinstance(backend, asyncpg.Connection)
            backend_pid = backend.get_server_pid()
        peer = await asyncpg.connect(stores.postgres, server_settings=_SETTINGS)
        try:
            graph = make_whole(database)
            pids = (backend_pid, peer.get_server_pid())
            return [await _cost_of(ask, graph, peer, pids) for ask in list_asks()]
        finally:
            await peer.close()


async def _cost_of(
    ask: Ask, graph: Graph, connection: asyncpg.Connection, pids: tuple[int, int]
) -> Cost:
    """Both sides take turns; the best of each counts, since load only ever adds."""
    ours_pid, peer_pid = pids
    ours, peer = [], []
    for number in range(ROUNDS):
        sides = [
            (peer, lambda: _select(connection, ask), peer_pid),
            (ours, lambda: _page(graph, ask), ours_pid),
        ]
        for samples, page, pid in sides if number % 2 else reversed(sides):
            samples.append(await _cpu_of(page, pid))
    assert await _page(graph, ask) == await _select(connection, ask), ask
    return Cost(ask, min(ours), min(peer))


async def _cpu_of(page: Callable[[], Awaitable[object]], backend_pid: int) -> float:
    def read() -> int:
        return _cpu_nanoseconds("self") + _cpu_nanoseconds(str(backend_pid))

    before = read()
    await page()
    return (read() - before) / 1e9


def _cpu_nanoseconds(process: str) -> int:
    """Of the main thread, which is where both work; ticks of a clock would be too coarse."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0])


async def _page(graph: Graph, ask: Ask) -> list[str]:
    """The ids of its sessions."""
    variables: dict[str, Any] = {"offset": ask.offset, "filter": ask.filter, "order": ask.order}
    outcome = await graph.run(DOCUMENT, variables, CONTEXT)
    assert not outcome.errors, outcome.errors
    msgspec.json.encode(outcome.data)
    return [item["id"] for item in (outcome.data or {})["compute_session_list"]["items"]]


async def _select(connection: asyncpg.Connection, ask: Ask) -> list[str]:
    rows = await connection.fetch(statement_of(ask))
    msgspec.json.encode([dict(row) for row in rows], enc_hook=str)
    return [str(row["id"]) for row in rows]


def statement_of(ask: Ask) -> str:
    """The same page and its total, as they are asked for without a thought of what that costs."""
    narrowed, ordered = read_filter(_BY_HAND, ask.filter), read_order(_BY_HAND, ask.order)
    where = [*conditions_of(CONTEXT.actor, {}), *(each.condition for each in narrowed)]
    named = [column for each in narrowed for column in each.columns]
    total = sa.select(sa.func.count()).select_from(join_needed(_BY_HAND, named)).where(*where)
    page = (
        sa.select(*shown_for(set(FIELDS.split())), total.correlate(None).scalar_subquery())
        .select_from(_BY_HAND.joined)
        .where(*where)
        .order_by(*order_terms(_BY_HAND, ordered))
        .limit(LIMIT)
        .offset(ask.offset)
    )
    options = {"literal_binds": True}
    return str(page.compile(dialect=postgresql.dialect(), compile_kwargs=options))


@asynccontextmanager
async def _filled(dsn: str) -> AsyncIterator[Database]:
    """A database with a history; to write it takes longer than any request may."""
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(
        address,
        pool_size=1,
        max_overflow=0,
        json_deserializer=msgspec.json.decode,
        connect_args={"server_settings": _SETTINGS},
    )
    database = Database(engine)
    try:
        await history.fill(database)
        async with database.begin() as connection:
            await connection.execute(sa.text(_SCHEDULED))
            await connection.execute(sa.text("ANALYZE history"))
        yield database
    finally:
        await database.close()
