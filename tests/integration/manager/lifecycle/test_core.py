"""The core on a real Postgres with a made-up agent: from the queue to RUNNING to the end."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec
import pytest_asyncio

from backendai.common.clock import SystemClock
from backendai.common.enums import SessionType
from backendai.common.ids import AgentId, SystemIds
from backendai.manager.agents.model import Contact, Patience
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.core import Core, CoreSettings, Ports
from backendai.manager.lifecycle.hints import HintBoard, listen
from backendai.manager.lifecycle.moves import load_session, move_kernels
from backendai.manager.lifecycle.orders import end_moves, restart_moves
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.lifecycle.reap import Reaper
from tests.integration.manager.world import Wish, enqueue, fetch, open_world, until
from tests.sim.agent import Behaviour, FakeAgent, FakeSwarm
from tests.sim.link import FakeLink

QUICK = Behaviour(pull=(0, 0.01), prepare=(0, 0.01), stop=(0, 0.01))


class Roster:
    def __init__(self, agents: dict[str, FakeAgent]) -> None:
        self._agents = agents

    async def offers(self) -> list[Contact]:
        return [Contact(AgentId(name), f"{name}:6001", "") for name in self._agents]


class Published:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        self.payloads += payloads


class Site:
    """A database, agents, and managers that can be started."""

    def __init__(self, database: Database, dsn: str) -> None:
        self.database = database
        self.dsn = dsn
        self.agents: dict[str, FakeAgent] = {}
        self.published = Published()

    def add_agent(
        self, name: str, capacity: dict[str, str] | None = None, swarm: FakeSwarm | None = None
    ) -> FakeAgent:
        agent = FakeAgent(
            name,
            SystemClock(),
            Random(1),
            capacity or {"cpu": "4", "mem": "8589934592"},
            behaviour=QUICK,
            swarm=swarm,
        )
        self.agents[name] = agent
        agent.boot()
        return agent

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Core]:
        clock, board = SystemClock(), HintBoard()
        core = Core(
            Ports(
                store=PostgresStore(self.database, SystemIds()),
                link=FakeLink("m", self.agents, Random(2)),
                registry=Roster(self.agents),
                publisher=self.published,
                clock=clock,
                board=board,
            ),
            CoreSettings(holder=str(uuid.uuid4()), patience=Patience(heartbeat_seconds=1.0)),
        )
        tasks = [
            asyncio.create_task(core.run()),
            asyncio.create_task(listen(board, self.dsn, clock)),
        ]
        try:
            yield core
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [one for one in outcomes if not isinstance(one, asyncio.CancelledError)]
            assert not wrong, wrong

    async def await_status(self, session_id: uuid.UUID, *wanted: str) -> str:
        query = "SELECT status FROM sessions WHERE id = :id"

        async def look() -> str | None:
            status: str = (await fetch(self.database, query, id=session_id))[0][0]
            return status if status in wanted else None

        return await until(look)

    async def drift(self) -> list[object]:
        return await fetch(self.database, "SELECT * FROM slot_drift")

    async def held(self) -> list[object]:
        return await fetch(self.database, "SELECT * FROM allocations WHERE freed_at IS NULL")


@pytest_asyncio.fixture
async def site(make_database: Callable[[str | None], str], world_dsn: str) -> AsyncIterator[Site]:
    dsn = await asyncio.to_thread(make_database, world_dsn)
    database = open_world(dsn)
    site = Site(database, dsn)
    yield site
    for agent in site.agents.values():
        agent.crash()
    await database.close()


async def test_a_session_runs_and_ends(site: Site) -> None:
    agent = site.add_agent("a1")
    async with site.manager():
        new = await enqueue(site.database, Wish())
        await site.await_status(new.id, "RUNNING")
        assert len(agent.engine.containers) == 1
        assert not await site.drift()
        async with site.database.begin() as conn:
            _, kernels = await load_session(conn, new.id, lock=True)
            await move_kernels(conn, end_moves(kernels), SystemClock().now())
        await site.await_status(new.id, "TERMINATED")
    assert not agent.engine.containers
    assert not await site.held()
    assert not await site.drift()
    rows = await fetch(
        site.database,
        "SELECT to_status FROM history WHERE session_id = :id AND kernel_id IS NULL ORDER BY id",
        id=new.id,
    )
    path = [row[0] for row in rows]
    assert path[:2] == ["PENDING", "SCHEDULED"]
    assert path[-3:] == ["RUNNING", "TERMINATING", "TERMINATED"]


async def test_a_node_that_gave_other_amounts_is_found(site: Site) -> None:
    site.add_agent("a1")
    async with site.manager() as core:
        new = await enqueue(site.database, Wish())
        await site.await_status(new.id, "RUNNING")
        observer = core.observers[AgentId("a1")]
        said = await until(lambda: observer.report if observer.report.kernels else None)
    store = PostgresStore(site.database, SystemIds())
    reports = {AgentId("a1"): said}
    reaper = Reaper(store, SystemClock(), Patience(), lambda: reports)
    await reaper.check_drift()
    assert reaper.drift == ()
    more = msgspec.structs.replace(said.kernels[0], slots={**said.kernels[0].slots, "cpu": "3"})
    reports[AgentId("a1")] = msgspec.structs.replace(said, kernels=[more])
    await reaper.check_drift()
    (row,) = reaper.drift
    assert (row.agent_id, row.slot, row.due, row.held) == ("a1", "cpu", "1", "3")


async def test_a_batch_that_ends_at_once_leaks_nothing(site: Site) -> None:
    agent = site.add_agent("a1")
    agent.on_start = lambda one: agent.engine.end(one, 0)
    async with site.manager():
        new = await enqueue(site.database, Wish(type=SessionType.BATCH, startup_command="true"))
        await site.await_status(new.id, "TERMINATED")
        await until(lambda: not agent.engine.containers)
    rows = await fetch(
        site.database, "SELECT result, exit_code FROM sessions WHERE id = :id", id=new.id
    )
    assert rows == [("success", 0)]
    assert not await site.held()


async def test_a_restart_gives_a_new_generation_and_keeps_the_room(site: Site) -> None:
    agent = site.add_agent("a1")
    async with site.manager():
        new = await enqueue(site.database, Wish())
        await site.await_status(new.id, "RUNNING")
        async with site.database.begin() as conn:
            _, kernels = await load_session(conn, new.id, lock=True)
            await move_kernels(conn, restart_moves(kernels), SystemClock().now())
        await site.await_status(new.id, "RUNNING")
        generations = [one.generation for one in agent.engine.containers.values()]
        assert generations == [2]
        assert not await site.drift()


async def test_a_gang_over_nodes_runs_whole(site: Site) -> None:
    swarm = FakeSwarm(("a1",))
    for name in ("a1", "a2", "a3"):
        site.add_agent(name, {"cpu": "1", "mem": "1073741824"}, swarm)
    async with site.manager():
        new = await enqueue(site.database, Wish(kernels=3, cluster_mode="multi-node"))
        await site.await_status(new.id, "RUNNING")
        assert [len(agent.engine.containers) for agent in site.agents.values()] == [1, 1, 1]
        assert not await site.drift()


async def test_two_managers_place_each_session_once(site: Site) -> None:
    agents = [site.add_agent(f"a{index}") for index in range(3)]
    async with site.manager(), site.manager():
        made = [await enqueue(site.database, Wish()) for _ in range(12)]
        for new in made:
            await site.await_status(new.id, "RUNNING")
        assert sum(len(agent.engine.started) for agent in agents) == 12
        assert not await site.drift()


async def test_what_does_not_fit_says_why(site: Site) -> None:
    site.add_agent("a1")
    async with site.manager():
        big = await enqueue(site.database, Wish(slots={"cpu": "64", "mem": "1073741824"}))
        small = await enqueue(site.database, Wish())
        await site.await_status(small.id, "RUNNING")

        async def reason() -> dict[str, Any]:
            query = "SELECT waiting FROM sessions WHERE id = :id"
            return (await fetch(site.database, query, id=big.id))[0][0]

        waiting = await until(reason)
    assert waiting["rule"] == "room"
    assert waiting["causes"] == {"not-enough-cpu": 1}
    assert waiting["need"]["cpu"] == "64"


async def test_events_are_relayed_in_order(site: Site) -> None:
    site.add_agent("a1")
    async with site.manager():
        new = await enqueue(site.database, Wish())
        await site.await_status(new.id, "RUNNING")

        async def is_relayed() -> bool:
            return not await fetch(site.database, "SELECT 1 FROM outbox WHERE relayed_at IS NULL")

        await until(is_relayed)
    names = await fetch(site.database, "SELECT name FROM outbox ORDER BY id")
    assert names[0] == ("session_enqueued",)
    assert names[-2:] == [("kernel_started",), ("session_started",)]
    assert len(site.published.payloads) >= len(names)
