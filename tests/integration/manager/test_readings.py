"""What Prometheus is told of the cluster is what the database says, right after the planner."""

import asyncio
from collections.abc import Callable, Mapping

from backendai.common.clock import SystemClock
from backendai.common.ids import SystemIds
from backendai.common.loops import Wake
from backendai.common.metrics import Family
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.maintenance.presence import Presence
from backendai.manager.readings import reading_of
from backendai.manager.sched.loop import Planner
from tests.integration.manager.world import Wish, add_agent, enqueue, open_world


def values(families: Mapping[str, Family], name: str) -> dict[tuple[str, ...], float]:
    found = families[f"backendai_{name}"]
    return {tuple(sample.labels.values()): sample.value for sample in found.samples}


async def test_sessions_their_reasons_and_slots_are_told(
    make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "1.5", "mem": "8589934592"})
    await add_agent(database, "i-2", {"cpu": "4"}, schedulable=False)
    for _ in range(3):
        await enqueue(database, Wish(slots={"cpu": "1", "mem": "1073741824"}))
    store = PostgresStore(database, SystemIds())
    await Planner(store, SystemClock(), "test", Wake()).step()

    told = {family.name: family for family in await reading_of(database)()}
    assert values(told, "sessions") == {("SCHEDULED", "default"): 1, ("PENDING", "default"): 2}
    waiting = values(told, "sessions_waiting")
    assert sum(waiting.values()) == 2
    assert not [rule for rule, _ in waiting if rule == "new"], "the planner has told why"
    assert values(told, "sessions_waiting_seconds_max")[("default",)] >= 0
    assert values(told, "agents") == {
        ("ALIVE", "yes", "default"): 1,
        ("ALIVE", "no", "default"): 1,
    }
    assert values(told, "slot_capacity")[("i-1", "default", "cpu")] == 1.5
    slots = values(told, "slots")
    assert slots[("default", "cpu", "held")] == 1
    assert slots[("default", "cpu", "free")] == 0.5
    assert slots[("default", "cpu", "away")] == 4, "where nothing is started now"
    held = values(told, "slot_held")
    assert held[("i-1", "default", "cpu")] == 1
    assert held[("i-2", "default", "cpu")] == 0
    await database.close()


async def test_an_empty_cluster_is_told_as_empty(
    make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    told = {family.name: family for family in await reading_of(database)()}
    assert values(told, "sessions") == {}
    assert values(told, "slot_capacity") == {}
    assert values(told, "slots") == {}
    await database.close()


async def test_managers_and_their_turns_are_told(
    make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    store = PostgresStore(database, SystemIds())
    await Presence(database, "one", {"id": "one"}).beat()
    assert await store.hold_lease("core", "one", 60.0)
    assert await store.hold_lease("callbacks", "one", 0.0)
    told = {family.name: family for family in await reading_of(database)()}
    assert values(told, "managers") == {(): 1}
    assert values(told, "lease_held") == {("core",): 1, ("callbacks",): 0}
    assert values(told, "events_untold") == {(): 0}
    await database.close()
