"""What operators do about nodes, on a real Postgres, with made-up agents of the real machine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from backendai.common.clock import SystemClock
from backendai.common.faults import AgentNotFound, Conflict, Stale
from backendai.common.ids import AgentId, SystemIds
from backendai.manager.agents.model import Patience
from backendai.manager.agents.service import Agents
from backendai.manager.audit.change import Changes
from backendai.manager.gate.actor import local_administrator
from backendai.manager.lifecycle.model import NewSession
from backendai.manager.lifecycle.moves import load_session, move_kernels
from backendai.manager.lifecycle.orders import end_moves
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.sched.plan import plan
from tests.integration.manager.lifecycle.test_core import Site
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world, until

A1 = AgentId("a1")


@pytest_asyncio.fixture
async def site(make_database: Callable[[str | None], str], world_dsn: str) -> AsyncIterator[Site]:
    dsn = await asyncio.to_thread(make_database, world_dsn)
    site = Site(open_world(dsn), dsn)
    yield site
    for agent in site.agents.values():
        agent.crash()
    await site.database.close()


def operator_of(site: Site) -> Agents:
    clock = SystemClock()
    changes = Changes(site.database, clock, settled=lambda: None)
    return Agents(site.database, changes, clock, Patience(), local_administrator("somebody"))


async def noted(site: Site) -> list[tuple[Any, ...]]:
    return await fetch(
        site.database,
        "SELECT email, action, target_id, before, after FROM audit_log"
        " WHERE target_kind = 'agent' ORDER BY id",
    )


async def silence(site: Site, status: str, seconds: float) -> None:
    await fetch(
        site.database,
        "UPDATE agents SET status = :status, last_seen_at = now() - make_interval(secs => :seconds)"
        " RETURNING 1",
        status=status,
        seconds=seconds,
    )


async def place(site: Site, wish: Wish) -> NewSession:
    """Put a session into the queue and where the planner says."""
    new = await enqueue(site.database, wish)
    store = PostgresStore(site.database, SystemIds())
    found = plan(await store.load_view(), datetime.now(UTC)).placements()
    assert not (await store.place(list(found), datetime.now(UTC))).refused
    return new


async def statuses(site: Site) -> dict[str, tuple[str, str]]:
    rows = await fetch(site.database, "SELECT name, status, status_info FROM sessions")
    return {name: (status, info) for name, status, info in rows}


async def status_of(site: Site) -> str:
    found: str = (await fetch(site.database, "SELECT status FROM agents WHERE id = 'a1'"))[0][0]
    return found


async def test_an_unknown_node_is_told_with_the_known_ones(site: Site) -> None:
    await add_agent(site.database, "a1", {"cpu": "4"})
    for act in (
        operator_of(site).fence(AgentId("a9"), is_forced=True),
        operator_of(site).resume(AgentId("a9")),
        operator_of(site).pause(AgentId("a9")),
    ):
        with pytest.raises(AgentNotFound) as refused:
            await act
        assert refused.value.facts == {"known": "a1"}


@pytest.mark.parametrize(
    ("status", "seconds", "is_refused"),
    [
        ("ALIVE", 0, True),
        ("ALIVE", 9999, True),
        ("SUSPECT", 3, True),
        ("LOST", 3, True),
        ("SUSPECT", 60, False),
        ("LOST", 9999, False),
        ("TERMINATED", 0, False),
    ],
)
async def test_a_node_that_may_live_is_fenced_only_by_force(
    site: Site, status: str, seconds: float, is_refused: bool
) -> None:
    await add_agent(site.database, "a1", {"cpu": "4"})
    await silence(site, status, seconds)
    operator = operator_of(site)
    if is_refused:
        for act in (operator.fence, operator.preview_fence):
            with pytest.raises(Conflict, match="--force"):
                await act(A1, is_forced=False)
        assert await status_of(site) == status
    await operator.fence(A1, is_forced=is_refused)
    assert await status_of(site) == "TERMINATED"
    (row,) = await noted(site)
    assert row[:4] == ("local:somebody", "agent.fence", "a1", {"status": status})
    assert row[4] == {"status": "TERMINATED", "ended": [], "forced": is_refused}


async def test_a_fence_ends_what_the_node_held_and_frees_room_and_names(site: Site) -> None:
    await add_agent(site.database, "a1", {"cpu": "4", "mem": "8589934592"})
    await place(site, Wish(name="one"))
    ending = await place(site, Wish(name="two"))
    async with site.database.begin() as conn:
        _, kernels = await load_session(conn, ending.id)
        await move_kernels(conn, end_moves(kernels), datetime.now(UTC))
    await enqueue(site.database, Wish(name="waits", slots={"cpu": "4"}))
    await silence(site, "LOST", 9999)
    (view,) = await operator_of(site).list_views()
    assert (view.kernels, view.occupied["cpu"], view.capacity["cpu"]) == (2, Decimal(2), Decimal(4))

    foreseen = await operator_of(site).preview_fence(A1, is_forced=False)
    assert len(await site.held()) == 4, "a preview ends nothing"
    done = await operator_of(site).fence(A1, is_forced=False)
    assert foreseen.fates == done.fates
    assert {(fate.name, fate.before, fate.after) for fate in done.fates} == {
        ("one", "SCHEDULED", "TERMINATED"),
        ("two", "TERMINATING", "TERMINATED"),
    }
    assert await statuses(site) == {
        "one": ("TERMINATED", "agent-lost"),
        "two": ("TERMINATED", "agent-lost"),
        "waits": ("PENDING", ""),
    }
    assert not await site.held()
    assert not await site.drift()
    told = await fetch(
        site.database,
        "SELECT event, reason, detail FROM history"
        " WHERE kernel_id IS NOT NULL AND event = 'fenced'",
    )
    assert told == [("fenced", "agent-lost", {"by": "local:somebody", "agent": "a1"})] * 2
    await enqueue(site.database, Wish(name="one"))

    assert (await operator_of(site).fence(A1, is_forced=False)).fates == ()
    assert len(await fetch(site.database, "SELECT 1 FROM history WHERE event = 'fenced'")) == 4


async def test_a_session_over_nodes_loses_only_what_was_there(site: Site) -> None:
    for name in ("a1", "a2"):
        swarm = {"node_id": name, "swarm_id": "s" if name == "a1" else "", "managers": ["a1"]}
        await add_agent(site.database, name, {"cpu": "1", "mem": "1073741824"}, swarm=swarm)
    new = await place(site, Wish(kernels=2, cluster_mode="multi-node"))
    await fetch(site.database, "UPDATE kernels SET status = 'RUNNING' RETURNING 1")
    await fetch(site.database, "UPDATE sessions SET status = 'RUNNING' RETURNING 1")
    query = "SELECT agent_id FROM kernels WHERE cluster_role = :role"
    sub = AgentId((await fetch(site.database, query, role="sub"))[0][0])
    main = AgentId((await fetch(site.database, query, role="main"))[0][0])
    (fate,) = (await operator_of(site).fence(sub, is_forced=True)).fates
    assert (fate.session_id, fate.kernels, fate.after) == (new.id, 1, "RUNNING_DEGRADED")
    (fate,) = (await operator_of(site).fence(main, is_forced=True)).fates
    assert fate.after == "TERMINATED"
    assert not await site.held()


async def test_operators_planners_and_users_at_once_leave_nothing_behind(site: Site) -> None:
    """Whoever comes first, nothing is placed on a fenced node, and each kernel ends once."""
    for _ in range(8):
        await add_agent_again(site)
        made = [await enqueue(site.database, Wish()) for _ in range(3)]
        store = PostgresStore(site.database, SystemIds())
        placements = list(plan(await store.load_view(), datetime.now(UTC)).placements())
        assert len(placements) == 3
        operator = operator_of(site)
        await asyncio.gather(
            store.place(placements[:2], datetime.now(UTC)),
            operator.fence(A1, is_forced=True),
            end(site, made[0]),
            operator.fence(A1, is_forced=True),
            store.place(placements[2:], datetime.now(UTC)),
        )
        assert not await site.held()
        assert not await site.drift()
        await asyncio.gather(*(end(site, new) for new in made))
    twice = await fetch(
        site.database,
        "SELECT kernel_id FROM history WHERE event = 'fenced' AND kernel_id IS NOT NULL"
        " GROUP BY kernel_id HAVING count(*) > 1",
    )
    assert not twice


async def add_agent_again(site: Site) -> None:
    if await fetch(site.database, "SELECT 1 FROM agents"):
        await silence(site, "ALIVE", 0)
    else:
        await add_agent(site.database, "a1", {"cpu": "4", "mem": "8589934592"})


async def end(site: Site, new: NewSession) -> None:
    async def work(conn: Any) -> None:
        _, kernels = await load_session(conn, new.id)
        await move_kernels(conn, end_moves(kernels), datetime.now(UTC))

    while True:
        try:
            return await site.database.transact(work)
        except Stale:
            continue


async def test_a_paused_node_gets_nothing_until_it_is_resumed(site: Site) -> None:
    site.add_agent("a1")
    async with site.manager() as core:
        await until(lambda: core.observers and core.observers[A1].report)
        await operator_of(site).pause(A1)
        new = await enqueue(site.database, Wish())

        async def reason() -> dict[str, Any]:
            return (await fetch(site.database, "SELECT waiting FROM sessions"))[0][0]

        assert (await until(reason))["causes"] == {"not-schedulable": 1}
        assert not (await operator_of(site).resume(A1)).schedulable
        await site.await_status(new.id, "RUNNING")
    who = ("local:somebody", "agent.modify", "a1")
    was = {"status": "ALIVE"}
    assert await noted(site) == [
        (*who, {**was, "schedulable": True}, {"schedulable": False}),
        (*who, {**was, "schedulable": False}, {"schedulable": True}),
    ]


async def test_a_fenced_node_that_comes_back_is_cleaned_and_waits_to_be_resumed(
    site: Site,
) -> None:
    agent = site.add_agent("a1")
    async with site.manager():
        made = [await enqueue(site.database, Wish(name=f"s{index}")) for index in range(4)]
        for new in made:
            await site.await_status(new.id, "RUNNING")
        # Its containers outlive it, as those of a node that is only cut off do.
        agent.crash()
        await operator_of(site).fence(A1, is_forced=True)
        assert {status for status, _ in (await statuses(site)).values()} == {"TERMINATED"}
        assert len(agent.engine.containers) == 4
        again = await enqueue(site.database, Wish(name="s0"))
        agent.boot()
        await until(lambda: not agent.engine.containers)
        assert await status_of(site) == "TERMINATED"
        assert (
            await fetch(site.database, "SELECT status FROM sessions WHERE id = :id", id=again.id)
        )[0] == ("PENDING",)
        await operator_of(site).resume(A1)
        assert await status_of(site) == "SUSPECT"
        await site.await_status(again.id, "RUNNING")
        assert not await site.drift()
    generations = [one.generation for one in agent.engine.containers.values()]
    assert generations == [1]
