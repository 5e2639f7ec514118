"""G5c, G5d: a page of a hundred sessions with twenty fields each, through GraphQL.

Beside the same SELECT by asyncpg, its rows as JSON; and beside graphql-core with its own resolvers
over dicts that are ready. In one process on a database of its own; the figure is CPU of that
process, in alternating rounds. The last row leaves our database work out.
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import sqlalchemy as sa
from graphql import GraphQLSchema, build_schema, execute, parse
from sqlalchemy.dialects import postgresql

from backendai.common.enums import UserRole
from backendai.common.settings.load import check_settings
from backendai.common.settings.sections import DbSettings
from backendai.halfstack.stores import run_stores
from backendai.manager.db.engine import Database, open_database
from backendai.manager.graph.execute import SCHEMA_FILE, Graph, GraphContext
from backendai.manager.graph.lists import ListRoots
from backendai.manager.graph.pages import Wanted, build_query
from backendai.manager.graph.session_columns import SESSIONS, SHOWN
from backendai.manager.graph.sessions import SessionView, conditions_of
from tests.bench.harness import Rounds, Row, Sampler, interleave
from tests.integration.manager.graph import history
from tests.unit.manager.graph.whole import make_whole

NEEDS_STACK: Final = False
GOAL_OVER_SELECT: Final = 3.0
GOAL_OVER_GRAPHQL: Final = 1.25
ROUNDS: Final = 9
PAGES_PER_ROUND: Final = 10
SESSIONS_IN_ALL: Final = 5_000
FIELDS: Final = (
    "id name type status status_info status_changed result tag image architecture cluster_mode "
    "cluster_size domain_name group_name user_email full_name access_key created_at "
    "terminated_at scaling_group"
)
DOCUMENT: Final = (
    f"{{ compute_session_list(limit: 100, offset: 0) {{ items {{ {FIELDS} }} total_count }} }}"
)
CONTEXT: Final = GraphContext(history.actor_of(0, UserRole.SUPERADMIN))
Page = Callable[[], Awaitable[object]]


def measure() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="bench-graph-"))
    try:
        with asyncio.Runner() as runner:
            return runner.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(folder: Path) -> list[Row]:
    async with run_stores(folder) as stores, _filled(stores.postgres) as database:
        connection = await asyncpg.connect(stores.postgres)
        try:
            graph = make_whole(database)
            ours = _ours(graph)
            found = (await graph.run(DOCUMENT, {}, CONTEXT)).data
            prepared = await _prepared(database)
            bare = _bare(found)
            pairs = (
                (
                    "G5c",
                    "CPU of a page beside its SELECT",
                    ours,
                    _select(connection),
                    GOAL_OVER_SELECT,
                ),
                ("G5d", "CPU of a page beside graphql-core", ours, bare, GOAL_OVER_GRAPHQL),
                ("G5d", "the same of rows that are loaded", prepared, bare, GOAL_OVER_GRAPHQL),
            )
            return [(await _compare(a, b)).row(*names, limit) for *names, a, b, limit in pairs]
        finally:
            await connection.close()


async def _compare(ours: Page, peer: Page) -> Rounds:
    """`interleave` runs in a thread of its own, and each sample on this loop."""
    loop = asyncio.get_running_loop()

    def sampler(page: Page) -> Sampler:
        return lambda: asyncio.run_coroutine_threadsafe(_cpu_of(page), loop).result()

    return await asyncio.to_thread(interleave, sampler(ours), sampler(peer), ROUNDS)


async def _cpu_of(page: Page) -> float:
    started = time.process_time()
    for _ in range(PAGES_PER_ROUND):
        await page()
    return (time.process_time() - started) / PAGES_PER_ROUND


def _ours(graph: Graph) -> Page:
    async def page() -> object:
        outcome = await graph.run(DOCUMENT, {}, CONTEXT)
        assert not outcome.errors
        return msgspec.json.encode(outcome.data)

    return page


def _select(connection: asyncpg.Connection) -> Page:
    """The statement of the page as text, executed by the driver alone."""
    query = build_query(SESSIONS, Wanted(100, 0), conditions_of(CONTEXT.actor, {}), SHOWN)
    options = {"literal_binds": True}
    text = str(query.page.compile(dialect=postgresql.dialect(), compile_kwargs=options))

    async def page() -> object:
        rows = await connection.fetch(text)
        assert len(rows) == 100
        return msgspec.json.encode([dict(row) for row in rows], enc_hook=str)

    return page


def _bare(found: dict[str, Any] | None) -> Page:
    """graphql-core, its default resolvers, dicts in memory, and the document parsed before."""
    schema, document = _schema(), parse(DOCUMENT)
    root = {"compute_session_list": json.loads(json.dumps((found or {})["compute_session_list"]))}

    async def page() -> object:
        outcome: Any = execute(schema, document, root_value=root)
        assert len(outcome.data["compute_session_list"]["items"]) == 100
        return msgspec.json.encode(outcome.data)

    return page


async def _prepared(database: Database) -> Page:
    """Our fields over rows that a root has loaded before."""
    query = build_query(SESSIONS, Wanted(100, 0), conditions_of(CONTEXT.actor, {}), SHOWN)
    async with database.begin() as connection:
        rows = (await connection.execute(query.page)).mappings().all()
    found = {"items": [SessionView(row) for row in rows], "total_count": len(rows)}
    lists = ListRoots(database, hides_agents=False)
    schema = _schema()
    assert schema.query_type is not None
    roots = dict.fromkeys(schema.query_type.fields, lambda _root, _info, **_args: found)
    return _ours(Graph({"Query": roots}, lists.fields()))


def _schema() -> GraphQLSchema:
    return build_schema(SCHEMA_FILE.read_text("utf-8"))


@asynccontextmanager
async def _filled(dsn: str) -> AsyncIterator[Database]:
    where = sa.make_url(dsn)
    data = {
        "addr": {"host": where.host, "port": where.port},
        "name": where.database,
        "user": where.username,
        "password": where.password or "",
    }
    database = open_database(check_settings(DbSettings, data, "bench"), "bench")
    try:
        await history.fill(database, SESSIONS_IN_ALL)
        yield database
    finally:
        await database.close()
