"""The loop on a real database; time is a value, so nobody waits for it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.clock import FakeClock
from backendai.common.enums import SessionType
from backendai.common.ids import AgentId, SystemIds
from backendai.common.lifecycle import KernelEvent
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import EVERYTHING
from backendai.manager.idle import store
from backendai.manager.idle.activity import Activities
from backendai.manager.idle.loop import IdleWatch, hold_turn
from backendai.manager.idle.service import Idleness, Rulebook
from backendai.manager.lifecycle.model import Move, NewSession
from backendai.manager.lifecycle.postgres import PostgresStore
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

MakeDatabase = Callable[[str | None], str]
HOUR = 3600.0
UTILIZATION = {
    "checkers/utilization/resource-thresholds/cpu_util/average": "30",
    "checkers/utilization/time-window": "1h",
    "checkers/utilization/initial-grace-period": "5m",
}


@dataclass
class Pairs:
    """The cluster's configuration below config/idle/."""

    pairs: dict[str, str] = field(default_factory=dict)
    is_known: bool = True

    def find_below(self, path: str) -> dict[str, str] | None:
        assert path == "idle/"
        return dict(self.pairs) if self.is_known else None


class Floor:
    """A database with a node, and managers that look at it when they are told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
        self.core = PostgresStore(database, SystemIds())
        self.config = Pairs()
        self.rulebook = Rulebook(self.config)
        self.watch = self.manager("first")
        self.idleness = Idleness(database, self.rulebook, self.clock)
        self.used = Activities(database, self.clock)

    def manager(self, holder: str) -> IdleWatch:
        turn = hold_turn(self.core, self.clock, holder)
        return IdleWatch(self.database, self.rulebook, turn, self.clock)

    async def allow(self, **policy: int) -> None:
        async with self.database.begin() as conn:
            await conn.execute(sa.update(t.keypair_policies).values(**policy))

    async def run(self, **wish: Any) -> NewSession:
        """A session that runs from now on."""
        new = await enqueue(self.database, Wish(**wish))
        for kernel in new.kernels:
            place = Move(kernel_id=kernel.id, event=KernelEvent.PLACE, agent_id=AgentId("i-1"))
            await self.core.move([place], self.clock.now())
            start = Move(kernel_id=kernel.id, event=KernelEvent.START)
            await self.core.move([start], self.clock.now())
        return new

    async def look(self, seconds: float, *, step: float = 10.0) -> None:
        """Let `seconds` pass, with a look each ten of them."""
        for _ in range(int(seconds / step)):
            self.clock.shift(step)
            await self.watch.step()

    async def use(self, session: NewSession, cpu_percent: float) -> None:
        """What the node said just now; the CPU time since the beginning of the session."""
        elapsed = self.clock.monotonic()
        use = {
            "sampled_at": self.clock.now().timestamp(),
            "cpu_used_milliseconds": 1 + elapsed * 10 * cpu_percent,
            "memory_bytes": 1,
        }
        await self.core.note_use({kernel.id: use for kernel in session.kernels})

    async def status(self, session: NewSession) -> str:
        [(status,)] = await fetch(
            self.database, "select status from sessions where id = :id", id=session.id
        )
        return str(status)

    async def warnings(self, session: NewSession) -> list[dict[str, Any]]:
        query = "select payload from outbox where session_id = :id and name = :name order by id"
        rows = await fetch(self.database, query, id=session.id, name="session_idle_warning")
        return [payload for (payload,) in rows]

    async def checks(self, session: NewSession) -> dict[str, Any]:
        async with self.database.begin() as conn:
            found = await store.load_idle_checks(conn, [session.id])
        return found.get(session.id, {})


@pytest.fixture
async def floor(make_database: MakeDatabase, world_dsn: str) -> AsyncIterator[Floor]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "16", "mem": "171798691840"})
    yield Floor(database)
    await database.close()


async def test_a_lifetime_ends_a_session_once_after_a_warning(floor: Floor) -> None:
    free = await floor.run()
    await floor.look(20)
    assert await floor.checks(free) == {}
    await floor.allow(max_session_lifetime=3600)
    session, other = await floor.run(), floor.manager("second")
    await floor.look(3270, step=30.0)
    await other.step()
    [first] = await floor.warnings(session)
    assert first["checker"] == "session_lifetime"
    assert (first["reason"], first["remaining"]) == ("idle-session-lifetime", 1800)
    await floor.look(300, step=30.0)
    assert len(await floor.warnings(session)) == 2
    assert await floor.status(session) == "RUNNING"
    await floor.look(40)
    assert await floor.status(session) == "TERMINATING"
    rows = await fetch(
        floor.database,
        "select reason, detail from history where session_id = :id and event = 'terminate' "
        "and kernel_id is not null",
        id=session.id,
    )
    [(reason, detail)] = rows
    assert reason == "idle-session-lifetime"
    assert detail["checker"] == "session_lifetime"
    assert "3600 s" in detail["detail"]
    gone = Move(kernel_id=session.kernels[0].id, event=KernelEvent.GONE, reason=reason)
    await floor.core.move([gone], floor.clock.now())
    ended = "select status, status_info from sessions where id = :id"
    assert await fetch(floor.database, ended, id=session.id) == [("TERMINATED", reason)]


async def test_use_puts_the_end_off_and_is_written_once_a_minute(floor: Floor) -> None:
    await floor.allow(idle_timeout=600)
    used, left = await floor.run(), await floor.run()
    batch = await floor.run(type=SessionType.BATCH)
    query = "select active_at, active_by from session_idleness where session_id = :id"
    written = set()
    for _ in range(100):
        floor.used.note(used.id, "execute")
        await floor.used.save()
        await floor.look(10)
        written.update(await fetch(floor.database, query, id=used.id))
    assert 15 <= len(written) <= 18
    assert {what for _, what in written} == {"execute"}
    assert await floor.status(left) == "TERMINATING"
    assert len(await floor.warnings(left)) == 1
    assert (await floor.status(used), await floor.status(batch)) == ("RUNNING", "RUNNING")
    assert await floor.warnings(used) == []
    found = (await floor.checks(used))["network_timeout"]
    assert found["remaining_time_type"] == "expire_after"
    assert found["extra"]["last_activity"]["by"] == "execute"
    await floor.look(590)
    assert await floor.status(used) == "RUNNING"
    await floor.look(120)
    assert await floor.status(used) == "TERMINATING"


async def test_who_is_warned_may_extend(floor: Floor) -> None:
    await floor.allow(idle_timeout=400, max_session_lifetime=7200)
    session = await floor.run()
    await floor.look(390)
    assert [one["checker"] for one in await floor.warnings(session)] == ["network_timeout"]
    told = await floor.idleness.extend(EVERYTHING, str(session.id))
    assert told["network_timeout"]["remaining"] == 400
    assert told["network_timeout"]["extra"]["last_activity"]["by"] == "extend"
    assert told["session_lifetime"]["remaining"] == 7200 - 390
    await floor.look(390)
    assert await floor.status(session) == "RUNNING"
    assert len(await floor.warnings(session)) == 2
    await floor.look(100)
    assert await floor.status(session) == "TERMINATING"


async def test_a_limit_that_is_taken_back_is_shown_no_more(floor: Floor) -> None:
    await floor.allow(idle_timeout=-1)
    floor.config.pairs["checkers/network_timeout/threshold"] = "10m"
    session = await floor.run()
    await floor.look(590)
    assert set(await floor.checks(session)) == {"network_timeout"}
    del floor.config.pairs["checkers/network_timeout/threshold"]
    await floor.look(1000, step=100.0)
    assert await floor.checks(session) == {}
    assert await floor.status(session) == "RUNNING"


async def test_nothing_is_ended_while_the_rules_are_not_known(floor: Floor) -> None:
    await floor.allow(max_session_lifetime=60)
    floor.config.is_known = False
    session = await floor.run()
    await floor.look(200, step=50.0)
    assert (await floor.status(session), await floor.warnings(session)) == ("RUNNING", [])


async def test_too_little_use_ends_a_session_and_no_word_of_it_does_not(floor: Floor) -> None:
    floor.config.pairs |= UTILIZATION
    lazy, busy, silent = [await floor.run() for _ in range(3)]
    for _ in range(int((HOUR + 720) / 60)):
        await floor.use(lazy, 5.0)
        await floor.use(busy, 60.0)
        await floor.look(60, step=60.0)
    states = [await floor.status(one) for one in (lazy, busy, silent)]
    assert states == ["TERMINATING", "RUNNING", "RUNNING"]
    assert len(await floor.warnings(lazy)) == 2
    told = (await floor.checks(busy))["utilization"]
    assert told["remaining"] is None
    assert told["extra"]["resources"]["cpu_util"] == [60.0, 30.0]
    assert (await floor.checks(silent))["utilization"]["extra"]["resources"]["cpu_util"][0] is None
    assert "utilization" not in await floor.checks(lazy)


async def test_what_was_used_between_the_look_and_the_end_lives(floor: Floor) -> None:
    """The look's findings are not kept of a session that was used meanwhile."""
    await floor.allow(idle_timeout=100)
    session = await floor.run()
    await floor.look(160)
    [before] = await fetch(floor.database, "select warned from session_idleness")
    rules, now = floor.rulebook.read(), floor.clock.now()
    async with floor.database.begin() as conn:
        [case] = await store.load_page(conn, rules, now)
        await store.note_activity(conn, {session.id: (now, "upload")})
        await store.write_findings(conn, [store.Finding(case, {}, {}, [{"sessionId": "x"}])], now)
    assert await fetch(floor.database, "select warned from session_idleness") == [before]
    assert len(await floor.warnings(session)) == 1
    await floor.look(100)
    assert await floor.status(session) == "RUNNING"


CROWD = 2 * store.PAGE_CASES + 50
# Sessions whose ids are the numbers from :first to :last, which run since :since.
_COME = """
INSERT INTO sessions (id, name, type, domain_name, project_id, user_id, access_key, created_by,
  resource_group, cluster_mode, cluster_size, status, status_changed_at, created_at, started_at)
SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'crowd-' || n, 'interactive', 'default', p.id,
  k.user_id, k.access_key, k.user_id, 'default', 'single-node', 1, 'RUNNING', :since, :since, :since
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n, keypairs AS k, projects AS p
RETURNING id
"""
_GO = "update sessions set status = 'TERMINATED' where id = any(:ids) returning id"


class Commotion:
    """A turn that is always held; before the second page, sessions come and go on both sides."""

    def __init__(self, database: Database, since: datetime) -> None:
        self._database = database
        self._since = since
        self.asked = 0

    async def come(self, first: int, last: int) -> None:
        values = {"first": first, "last": last, "since": self._since}
        await fetch(self._database, _COME, **values)

    async def is_held(self) -> bool:
        self.asked += 1
        if self.asked == 2:
            await self.come(1, 50)
            await self.come(9000, 9009)
            gone = [uuid.UUID(int=number) for number in (1000, 1001, 1000 + CROWD - 1)]
            await fetch(self._database, _GO, ids=gone)
        return True


async def test_a_look_judges_by_pages_each_once_whoever_comes_and_goes(floor: Floor) -> None:
    await floor.allow(max_session_lifetime=3600)
    commotion = Commotion(floor.database, floor.clock.now() - timedelta(seconds=3500))
    await commotion.come(1000, 1000 + CROWD - 1)
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "session_idleness" in statement:
            statements.append(statement.split()[0])

    engine = floor.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    await IdleWatch(floor.database, floor.rulebook, commotion, floor.clock).step()
    sa.event.remove(engine, "before_cursor_execute", note)
    # A page is one statement, and what was found on it another.
    assert statements == ["SELECT", "WITH"] * 3
    warned = await fetch(floor.database, "select session_id from outbox order by session_id")
    numbers = [*range(1000, 1000 + CROWD - 1), *range(9000, 9010)]
    assert warned == [(uuid.UUID(int=number),) for number in numbers]
    await floor.manager("first").step()
    late = await fetch(floor.database, "select session_id from outbox order by session_id limit 51")
    assert late == [(uuid.UUID(int=number),) for number in (*range(1, 51), 1000)]


async def test_ended_sessions_and_unknown_ones_are_forgotten(floor: Floor) -> None:
    await floor.allow(max_session_lifetime=7200)
    session, ended = await floor.run(), await floor.run()
    await floor.look(10)
    async with floor.database.begin() as conn:
        await store.note_activity(conn, {uuid.uuid4(): (floor.clock.now(), "logs")})
    for event in (KernelEvent.TERMINATE, KernelEvent.GONE):
        move = Move(kernel_id=ended.kernels[0].id, event=event)
        await floor.core.move([move], floor.clock.now())
    await floor.watch.forget()
    kept = await fetch(floor.database, "select session_id from session_idleness")
    assert kept == [(session.id,)]


async def test_the_lease_lets_another_manager_go_on(floor: Floor) -> None:
    await floor.allow(max_session_lifetime=600)
    session, other = await floor.run(), floor.manager("second")
    await floor.look(10)
    floor.clock.shift(300)
    await other.step()
    assert await floor.warnings(session) == []
    async with floor.database.begin() as conn:
        gone = sa.func.now() - timedelta(seconds=1)
        await conn.execute(sa.update(t.leases).values(expires_at=gone))
    await other.step()
    assert len(await floor.warnings(session)) == 1
