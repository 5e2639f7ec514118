"""Presets, and what may be used: exact numbers, the planner's word, nobody else's project."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.scripted import IMAGES, ScriptedAgent
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

Create = Callable[..., Awaitable[dict[str, Any]]]

ROUTES = [
    ("GET", "/resource/presets", None),
    ("POST", "/resource/check-presets", {}),
    ("POST", "/resource/recalculate-usage", None),
]
GIB = 1 << 30


async def run(manager: Manager, words: str, **values: Any) -> None:
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.text(words), values)


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_are_refused(
    as_user: Callable[[str], Caller], route: tuple[str, str, Any]
) -> None:
    await refuse_strangers(as_user("root"), route)


async def test_projects_and_groups_of_others_are_not_there(
    manager: Manager, alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    async with manager.stores.database.begin() as connection:
        foreign = await connection.scalar(
            sa.text("select id from projects where domain_name = 'other'")
        )
    for asker in (alice, as_user("carol")):
        answer = await asker.ask("POST", "/resource/check-presets", {"group": str(foreign)})
        assert (answer.status, answer.slug) == (404, "object-not-found")
    root = await as_user("root").ask("POST", "/resource/check-presets", {"group": str(foreign)})
    assert root.status == 200
    answer = await alice.ask("POST", "/resource/check-presets", {"scaling_group": "hidden"})
    assert (answer.status, answer.json["title"]) == (404, "No such scaling group.")


@pytest.mark.parametrize(
    "body", [{"group": 7}, {"group": ""}, {"scaling_group": ["default"]}, {"preset": "small"}]
)
async def test_bad_questions_name_what_is_wrong(alice: Caller, body: dict[str, Any]) -> None:
    answer = await alice.ask("POST", "/resource/check-presets", body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert answer.json["data"].keys() == body.keys()


async def test_presets_are_listed(alice: Caller) -> None:
    answer = await alice.ask("GET", "/resource/presets")
    assert answer.json == {
        "presets": [
            {
                "name": "small",
                "shared_memory": str(64 << 20),
                "resource_slots": {"cpu": "1", "mem": str(GIB)},
            }
        ]
    }


async def test_without_limits_everything_is_infinite(alice: Caller, agent: ScriptedAgent) -> None:
    answer = await alice.ask("POST", "/resource/check-presets")
    assert answer.status == 200, answer.body
    told = answer.json
    assert told["keypair_limits"] == {"cpu": "Infinity", "mem": "Infinity"}
    assert told["keypair_using"] == {"cpu": "0", "mem": "0"}
    assert told["keypair_remaining"] == {"cpu": "Infinity", "mem": "Infinity"}
    assert told["group_remaining"] == {"cpu": "Infinity", "mem": "Infinity"}
    room = {"cpu": "8", "mem": str(16 * GIB)}
    assert told["scaling_group_remaining"] == room
    assert told["scaling_groups"] == {
        "default": {"using": {"cpu": "0", "mem": "0"}, "remaining": room}
    }
    assert [(one["name"], one["allocatable"]) for one in told["presets"]] == [("small", True)]
    assert agent.capacity["cpu"] == "8"


@pytest.fixture
async def bounded(manager: Manager) -> AsyncIterator[None]:
    """The project and the domain have limits."""
    limit = "update {table} set total_resource_slots = cast(:slots as jsonb) where name = 'default'"
    await run(
        manager, limit.format(table="projects"), slots=f'{{"cpu": "3.5", "mem": "{5 * GIB}"}}'
    )
    await run(manager, limit.format(table="domains"), slots=f'{{"cpu": "3", "mem": "{6 * GIB}"}}')
    yield
    for table in ("projects", "domains"):
        await run(manager, limit.format(table=table), slots="{}")


@pytest.mark.usefixtures("bounded")
async def test_numbers_are_exact_sums_over_what_is_held(
    as_user: Callable[[str], Caller], alice: Caller, agent: ScriptedAgent, create: Create
) -> None:
    tiny = as_user("tiny")
    await create(
        tiny, "numbers-1", image=IMAGES[1], config={"resources": {"cpu": "0.3", "mem": "1g"}}
    )
    await create(
        alice, "numbers-2", image=IMAGES[1], config={"resources": {"cpu": "0.3", "mem": "512m"}}
    )
    told = (await tiny.ask("POST", "/resource/check-presets", {"scaling_group": "default"})).json
    assert told["keypair_limits"] == {"cpu": "2", "mem": str(4 * GIB)}
    assert told["keypair_using"] == {"cpu": "0.3", "mem": str(GIB)}
    # The keypair leaves 1.7 and 3 GiB, the project 2.9 and 3.5, the domain 2.4 and 4.5.
    assert told["keypair_remaining"] == {"cpu": "1.7", "mem": str(3 * GIB)}
    assert told["group_limits"] == {"cpu": "3.5", "mem": str(5 * GIB)}
    assert told["group_using"] == {"cpu": "0.6", "mem": str(3 * GIB // 2)}
    assert told["group_remaining"] == {"cpu": "2.4", "mem": str(7 * GIB // 2)}
    assert told["scaling_groups"]["default"] == {
        "using": {"cpu": "0.3", "mem": str(GIB)},
        "remaining": {"cpu": "7.4", "mem": str(29 * GIB // 2)},
    }
    assert told["scaling_group_remaining"] == {"cpu": "7.4", "mem": str(29 * GIB // 2)}
    for caller, name in ((tiny, "numbers-1"), (alice, "numbers-2")):
        assert (await caller.ask("DELETE", f"/session/{name}?forced=true")).status == 200

    async def is_free() -> bool:
        answer = await tiny.ask("POST", "/resource/check-presets")
        return bool(answer.json["group_using"] == {"cpu": "0", "mem": "0"})

    await until(is_free)
    assert agent.agent_id


async def test_what_does_not_fit_says_why(
    manager: Manager, as_user: Callable[[str], Caller], agent: ScriptedAgent
) -> None:
    add = (
        "insert into resource_presets (name, resource_slots) values (:name, cast(:slots as jsonb))"
    )
    wishes = {
        "huge": '{"cpu": "9", "mem": "1g"}',
        "wide": '{"cpu": "3", "mem": "1g"}',
        "strange": '{"cpu": "1", "cuda.device": "1"}',
        "broken": '{"cpu": "many"}',
    }
    for name, slots in wishes.items():
        await run(manager, add, name=name, slots=slots)
    try:
        told = (await as_user("tiny").ask("POST", "/resource/check-presets")).json["presets"]
        rich = (await as_user("alice").ask("POST", "/resource/check-presets")).json["presets"]
    finally:
        await run(manager, "delete from resource_presets where name <> 'small'")
    allowed = {one["name"]: one["allocatable"] for one in told}
    assert allowed == {
        "broken": False, "huge": False, "small": True, "strange": False, "wide": False
    }  # fmt: skip
    assert {one["name"] for one in rich if one["allocatable"]} == {"small", "wide"}
    reasons = {one["name"]: one.get("reason", "") for one in told}
    assert "keypair" in reasons["wide"]
    assert "administrator" in reasons["broken"]
    assert "No node" in {one["name"]: one.get("reason", "") for one in rich}["huge"]
    assert agent.agent_id


async def test_what_is_wanted_is_told_before_anybody_asks_for_it(
    as_user: Callable[[str], Caller], agent: ScriptedAgent
) -> None:
    async def ask(who: str, **wanted: Any) -> dict[str, Any]:
        body = {"scaling_group": "default", "wanted": wanted}
        answer = await as_user(who).ask("POST", "/resource/check-presets", body)
        assert answer.status == 200, answer.body
        told: dict[str, Any] = answer.json["wanted"]
        return told

    wide = {"resources": {"cpu": "3", "mem": "1g"}}
    assert await ask("alice", **wide) == {"allocatable": True}
    refused = await ask("tiny", **wide)
    assert not refused["allocatable"]
    assert not refused["possible"]
    assert "keypair" in refused["reason"]
    waits = await ask("alice", **wide, cluster_size=3)
    assert "No node" in waits["reason"]
    assert waits["possible"]
    for bad in ({"resources": {"cpu": "many"}}, {}, {**wide, "cluster_size": 0}):
        answer = await as_user("alice").ask("POST", "/resource/check-presets", {"wanted": bad})
        assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert agent.agent_id


async def test_nodes_that_take_nothing_count_for_nothing(
    manager: Manager, alice: Caller, agent: ScriptedAgent
) -> None:
    await run(manager, "update agents set schedulable = false where id = :id", id=agent.agent_id)
    told = (await alice.ask("POST", "/resource/check-presets")).json
    assert told["scaling_group_remaining"] == {"cpu": "0", "mem": "0"}
    assert not told["presets"][0]["allocatable"]
    assert "closed to new sessions" in told["presets"][0]["reason"]


async def test_the_projects_use_may_be_hidden_from_members(
    manager: Manager, alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    key = "config/api/resources/group_resource_visibility"
    await manager.stores.etcd.put(key, "false")

    async def is_hidden() -> bool:
        told = (await alice.ask("POST", "/resource/check-presets")).json
        return {*told["group_limits"].values(), *told["group_using"].values()} == {"NaN"}

    try:
        await until(is_hidden)
        told = (await as_user("carol").ask("POST", "/resource/check-presets")).json
        assert told["group_limits"]["cpu"] == "Infinity"
    finally:
        await manager.stores.etcd.delete(key)


async def test_usage_is_checked_and_drift_is_told(
    manager: Manager, as_user: Callable[[str], Caller], alice: Caller, create: Create,
    agent: ScriptedAgent,
) -> None:  # fmt: skip
    root = as_user("root")
    for name in ("alice", "carol", "eve"):
        await refuse_role(as_user(name), ROUTES[2])
    made = await create(alice, "drifting")
    sound = await root.ask("POST", "/resource/recalculate-usage")
    assert (sound.status, sound.json) == (200, {})
    where = " where slot = 'cpu' and kernel_id = (select id from kernels where session_id = :id)"
    session_id = made["sessionId"]
    await run(manager, "update allocations set amount = 3" + where, id=session_id)
    drifted = await root.ask("POST", "/resource/recalculate-usage")
    assert (drifted.status, drifted.slug) == (409, "conflict")
    assert drifted.json["data"]["count"] == 1
    [row] = drifted.json["data"]["drift"]
    assert (row["slot"], row["agent"]) == ("cpu", agent.agent_id)
    assert (float(row["due"]), float(row["held"])) == (1.0, 3.0)
    await run(manager, "update allocations set amount = 1" + where, id=session_id)
    assert (await root.ask("POST", "/resource/recalculate-usage")).status == 200
    assert (await alice.ask("DELETE", "/session/drifting?forced=true")).status == 200
