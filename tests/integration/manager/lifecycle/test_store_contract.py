"""One set of promises, kept by the storage in Postgres and by the one of the simulation."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import AgentReport, SwarmReport
from backendai.common.enums import AgentStatus, Reason, SessionType
from backendai.common.faults import KernelNotFound, Stale
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId, SystemIds
from backendai.common.lifecycle import KernelEvent, KernelStatus
from backendai.manager.agents.model import Contact
from backendai.manager.lifecycle.enqueue import insert_session
from backendai.manager.lifecycle.model import KernelRow, Move, NewSession
from backendai.manager.lifecycle.moves import load_session
from backendai.manager.lifecycle.networks import Networks
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.lifecycle.store import CoreStore
from backendai.manager.sched.placement import Placement
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import ACCESS_KEY, Wish, new_session, open_world
from tests.sim.memory import Disk, MemoryStore

Insert = Callable[[NewSession], Awaitable[object]]
Load = Callable[[NewSession], Awaitable[list[KernelRow]]]


@dataclass(frozen=True)
class Case:
    store: CoreStore
    insert: Insert
    load: Load

    async def add_agent(self, name: str, **changes: Any) -> None:
        await self.store.record_report(contact(name), report(name, **changes))

    async def plan(self) -> list[Placement]:
        view = await self.store.load_view()
        return list(plan(view, datetime.now(UTC)).placements())

    async def place(self, new: NewSession) -> list[KernelRow]:
        """Put a session into the queue and on a node."""
        await self.insert(new)
        placed = await self.store.place(await self.plan(), datetime.now(UTC))
        assert not placed.refused
        return await self.load(new)

    async def move(self, row: KernelRow, event: KernelEvent, **options: Any) -> KernelRow:
        move = Move(kernel_id=row.id, event=event, expected_revision=row.revision, **options)
        (moved, *_) = await self.store.move([move], datetime.now(UTC))
        return moved.after


def contact(name: str) -> Contact:
    return Contact(AgentId(name), f"{name}:6001", "")


def report(name: str, **changes: Any) -> AgentReport:
    values: dict[str, Any] = {
        "agent_id": name,
        "instance": "life-1",
        "version": 1,
        "started_at": 0.0,
        "daemon_version": "1",
        "architecture": "x86_64",
        "region": "",
        "resource_group": "default",
        "backend": "fake",
        "engine_reachable": True,
        "capacity": {"cpu": "4", "mem": "8589934592"},
        "kernels": [],
        "images": [],
    }
    return AgentReport(**{**values, **changes})


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def case(
    request: pytest.FixtureRequest, make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Case]:
    if request.param == "memory":
        disk = Disk(SystemClock())
        memory = MemoryStore(disk, Random(1))

        async def load_from_disk(new: NewSession) -> list[KernelRow]:
            return (await memory.load_session(new.id))[1]

        yield Case(memory, lambda new: memory.insert(new, datetime.now(UTC)), load_from_disk)
        return
    database = open_world(await asyncio.to_thread(make_database, world_dsn))

    async def insert(new: NewSession) -> object:
        return await database.transact(lambda c: insert_session(c, new, datetime.now(UTC)))

    async def load(new: NewSession) -> list[KernelRow]:
        return (await database.transact(lambda conn: load_session(conn, new.id)))[1]

    yield Case(PostgresStore(database, SystemIds()), insert, load)
    await database.close()


async def test_a_placed_session_is_among_the_cases_of_its_agent(case: Case) -> None:
    await case.add_agent("a1")
    new = new_session(Wish(type=SessionType.BATCH))
    (row,) = await case.place(new)
    assert (row.status, row.agent_id, row.generation) == (KernelStatus.SCHEDULED, "a1", 1)
    (found,) = await case.store.load_cases(AgentId("a1"), [])
    assert found.row == row
    assert (found.session_type, found.cluster_size) == (SessionType.BATCH, 1)
    assert await case.store.load_cases(AgentId("a2"), []) == []
    told = await case.store.load_cases(AgentId("a2"), [str(row.id), str(uuid.uuid4())])
    assert [one.row.id for one in told] == [row.id]
    assert await case.store.load_drift() == []


async def test_sessions_over_several_nodes_need_networks_until_they_are_over(case: Case) -> None:
    managed = SwarmReport(node_id="n1", swarm_id="s", managers=["n1", "n2"], networks=["old"])
    await case.add_agent("a1", swarm=managed)
    spread = new_session(Wish(kernels=2, cluster_mode="multi-node"))
    rows = await case.place(spread)
    near = new_session(Wish(kernels=2))
    await case.insert(near)
    there = [spread.id, near.id, SessionId(uuid.uuid4())]
    networks = await case.store.load_networks(there)
    assert networks == Networks({spread.id: frozenset({"n1", "n2"})}, frozenset())
    await case.move(rows[0], KernelEvent.FAILED)
    for row in await case.load(spread):
        if row.status is KernelStatus.TERMINATING:
            await case.move(row, KernelEvent.GONE)
    assert await case.store.load_networks(there) == Networks({}, frozenset({spread.id}))


async def test_a_session_over_several_nodes_waits_where_there_is_no_swarm(case: Case) -> None:
    await case.add_agent("a1")
    await case.insert(new_session(Wish(kernels=2, cluster_mode="multi-node")))
    assert await case.plan() == []


async def test_what_is_held_counts_until_it_is_freed(case: Case) -> None:
    await case.add_agent("a1", capacity={"cpu": "1", "mem": "8589934592"})
    (row,) = await case.place(new_session(Wish()))
    await case.insert(new_session(Wish()))
    assert await case.plan() == []
    row = await case.move(row, KernelEvent.START, container_id="c1")
    assert row.container_id == "c1"
    await case.move(row, KernelEvent.EXITED, exit_code=0)
    assert len(await case.plan()) == 1
    assert await case.store.load_drift() == []


async def test_a_placement_that_does_not_hold_any_more_is_refused(case: Case) -> None:
    await case.add_agent("a1", capacity={"cpu": "1", "mem": "8589934592"})
    first, second = new_session(Wish()), new_session(Wish())
    await case.insert(first)
    old_plan = await case.plan()
    await case.insert(second)
    other = [one for one in await case.plan() if one.session_id == second.id]
    now = datetime.now(UTC)
    assert (await case.store.place(old_plan, now)).refused == ()
    again = await case.store.place(old_plan, now)
    assert (again.moved, len(again.refused)) == ((), 1)
    forced = replace(
        old_plan[0],
        session_id=second.id,
        kernels=(replace(old_plan[0].kernels[0], kernel_id=second.kernels[0].id),),
    )
    assert (await case.store.place([*other, forced], now)).moved == ()


async def test_a_suspect_agent_takes_no_placement(case: Case) -> None:
    await case.add_agent("a1")
    await case.insert(new_session(Wish()))
    made = await case.plan()
    (row,) = await case.store.list_agents()
    assert await case.store.set_agent_status(row, AgentStatus.SUSPECT, 1)
    assert not await case.store.set_agent_status(row, AgentStatus.LOST, 1)
    assert (await case.store.place(made, datetime.now(UTC))).moved == ()
    assert await case.plan() == []


async def test_guards_refuse_and_nothing_is_written(case: Case) -> None:
    await case.add_agent("a1")
    new = new_session(Wish(kernels=2))
    rows = await case.place(new)
    good = Move(kernel_id=rows[0].id, event=KernelEvent.START)
    for bad in (
        Move(kernel_id=rows[1].id, event=KernelEvent.START, expected_revision=Revision(77)),
        Move(kernel_id=rows[1].id, event=KernelEvent.START, generation=Generation(9)),
        Move(kernel_id=rows[1].id, event=KernelEvent.GONE),
    ):
        with pytest.raises(Stale):
            await case.store.move([good, bad], datetime.now(UTC))
    lost = Move(kernel_id=KernelId(uuid.uuid4()), event=KernelEvent.START)
    with pytest.raises(KernelNotFound):
        await case.store.move([good, lost], datetime.now(UTC))
    assert await case.load(new) == rows


async def test_a_failed_member_ends_its_siblings_in_the_same_write(case: Case) -> None:
    await case.add_agent("a1")
    new = new_session(Wish(kernels=3))
    rows = await case.place(new)
    await case.move(rows[1], KernelEvent.FAILED, reason=Reason.FAILED_TO_START)
    statuses = [row.status.value for row in await case.load(new)]
    assert statuses == ["TERMINATING", "CANCELLED", "TERMINATING"]
    assert await case.store.load_drift() == []


async def test_overdue_kernels_are_found(case: Case) -> None:
    await case.add_agent("a1")
    (row,) = await case.place(new_session(Wish()))
    now = datetime.now(UTC)
    assert await case.store.load_overdue(now) == []
    (late,) = await case.store.load_overdue(now + timedelta(seconds=90))
    assert late.row.id == row.id


async def test_a_lease_has_one_holder(case: Case) -> None:
    assert await case.store.hold_lease("plan", "m1", 30)
    assert await case.store.hold_lease("plan", "m1", 30)
    assert not await case.store.hold_lease("plan", "m2", 30)
    assert await case.store.hold_lease("other", "m2", 0.01)
    await asyncio.sleep(0.02)
    assert await case.store.hold_lease("other", "m1", 30)


async def test_who_stops_leaves_its_leases_to_others(case: Case) -> None:
    for name, holder in (("plan", "m1"), ("relay", "m1"), ("other", "m2")):
        assert await case.store.hold_lease(name, holder, 30)
    await case.store.end_leases("m1")
    assert await case.store.hold_lease("plan", "m2", 30)
    assert await case.store.hold_lease("relay", "m3", 30)
    assert not await case.store.hold_lease("other", "m1", 30)


async def test_words_of_agents(case: Case) -> None:
    agent = AgentId("a1")
    assert not await case.store.hear(agent, "life-1", 15)
    await case.add_agent("a1")
    assert await case.store.hear(agent, "life-1", 15)
    assert not await case.store.hear(agent, "life-2", 15)
    await case.add_agent("a1", instance="life-2", engine_reachable=False, engine_detail="away")
    (row,) = await case.store.list_agents()
    assert (row.instance, row.engine_reachable, row.address) == ("life-2", False, "a1:6001")
    assert row.status is AgentStatus.ALIVE
    assert 0 <= row.silent_seconds < 15


async def test_capacity_follows_the_last_report(case: Case) -> None:
    await case.add_agent("a1")
    await case.place(new_session(Wish(slots={"cpu": "4", "mem": "1"})))
    await case.add_agent("a1", capacity={"cpu": "1"})
    (node,) = (await case.store.load_view()).nodes
    assert node.capacity == {"cpu": 1_000_000}
    assert node.occupied["cpu"] == 4_000_000
    await case.insert(new_session(Wish(slots={"cpu": "1"})))
    assert await case.plan() == []


async def test_reasons_are_written_for_those_who_wait(case: Case) -> None:
    await case.insert(new_session(Wish()))
    view = await case.store.load_view()
    waits = list(plan(view, datetime.now(UTC)).waits())
    await case.store.write_waits(waits, datetime.now(UTC))
    (ask,) = (await case.store.load_view()).asks
    assert ask.waiting_digest == waits[0][1].digest


async def test_dependencies_are_seen_by_state(case: Case) -> None:
    await case.add_agent("a1")
    first = new_session(Wish(type=SessionType.BATCH))
    (row,) = await case.place(first)
    second = new_session(Wish(depends_on=(first.id,)))
    await case.insert(second)
    assert await case.plan() == []
    row = await case.move(row, KernelEvent.START)
    await case.move(row, KernelEvent.EXITED, exit_code=0, reason=Reason.TASK_DONE)
    assert [one.session_id for one in await case.plan()] == [second.id]


async def test_events_wait_in_order_until_they_are_relayed(case: Case) -> None:
    await case.add_agent("a1")
    await case.place(new_session(Wish()))
    rows = await case.store.load_outbox(10)
    names = [row.name for row in rows]
    assert names == ["session_enqueued", "kernel_preparing", "session_scheduled"]
    await case.store.mark_relayed([row.id for row in rows[:2]])
    assert [row.name for row in await case.store.load_outbox(10)] == names[2:]


async def test_specs_tell_all_about_a_start(case: Case) -> None:
    new = new_session(Wish(kernels=2, startup_command="true", type=SessionType.BATCH))
    await case.insert(new)
    specs = await case.store.load_specs([kernel.id for kernel in new.kernels])
    main, sub = (specs[kernel.id] for kernel in new.kernels)
    assert (main.startup_command, sub.startup_command) == ("true", "")
    assert main.cluster_hosts == ["main1", "sub1"]
    assert (main.owner_access_key, main.session_name) == (ACCESS_KEY, new.name)
    assert main.slots == {"cpu": "1", "mem": "1073741824"}


async def test_what_is_final_stays_final(case: Case) -> None:
    new = new_session(Wish())
    await case.insert(new)
    (row,) = await case.load(new)
    row = await case.move(row, KernelEvent.TERMINATE)
    assert row.status is KernelStatus.CANCELLED
    for event in KernelEvent:
        with pytest.raises(Stale):
            await case.move(row, event, agent_id=AgentId("a1"))
