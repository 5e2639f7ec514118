"""Freezing the cluster, the announcement, and steering the scheduler."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from backendai.common.logs import get_logger
from backendai.manager.app import Manager
from backendai.manager.db.engine import open_database
from backendai.manager.maintenance.presence import LIVE_SECONDS
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import SOON_SECONDS, Answer, Caller, until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.conftest import body_of, started
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

log = get_logger(__name__)
Create = Callable[..., Awaitable[dict[str, Any]]]
FROZEN, RUNNING = {"status": "frozen", "force_kill": False}, {"status": "running"}

ROUTES = [
    ("PUT", "/manager/status", RUNNING),
    ("POST", "/manager/announcement", {"enabled": False, "message": None}),
    ("POST", "/manager/scheduler/operation", {"op": "include-agents", "args": ["i-1"]}),
    ("POST", "/manager/scheduler/trigger", {"event": "schedule"}),
    ("GET", "/manager/scheduler/status", None),
    ("GET", "/manager/logs", None),
]


@pytest.fixture
async def root(as_user: Callable[[str], Caller]) -> AsyncIterator[Caller]:
    caller = as_user("root")
    yield caller
    assert (await caller.ask("PUT", "/manager/status", RUNNING)).status == 204


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_and_whoever_is_no_superadmin_are_refused(
    as_user: Callable[[str], Caller], route: tuple[str, str, Any]
) -> None:
    await refuse_strangers(as_user("root"), route)
    for name in ("alice", "carol", "mallory", "eve"):
        await refuse_role(as_user(name), route)


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("PUT", "/manager/status", {}, "status"),
        ("PUT", "/manager/status", {"status": "preparing"}, "status"),
        ("PUT", "/manager/status", {"status": "frozen", "force_kill": "perhaps"}, "force_kill"),
        ("PUT", "/manager/status", {"status": "running", "force_kill": True}, "force_kill"),
        ("POST", "/manager/announcement", {"enabled": True, "message": None}, "message"),
        ("POST", "/manager/announcement", {"enabled": True, "message": " "}, "message"),
        ("POST", "/manager/announcement", {"enabled": True}, "message"),
        ("POST", "/manager/announcement", {"enabled": True, "message": "x" * 16385}, "message"),
        ("POST", "/manager/scheduler/operation", {"op": "drop", "args": ["i-1"]}, "op"),
        ("POST", "/manager/scheduler/operation", {"op": "include-agents", "args": []}, "args"),
        ("POST", "/manager/scheduler/trigger", {"event": "sleep"}, "event"),
        ("GET", "/manager/logs?level=LOUD", None, "level"),
        ("GET", "/manager/logs?limit=1001", None, "limit"),
    ],
)
async def test_bad_input_names_what_is_wrong(
    root: Caller, verb: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await root.ask(verb, path, body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params"), answer.body
    assert [key.partition(".")[0] for key in answer.json["data"]] == [field]


async def status_of(caller: Caller) -> dict[str, Any]:
    answer = await caller.ask("GET", "/manager/status", {"status": "running"})
    assert answer.status == 200
    told: dict[str, Any] = answer.json
    return told


async def test_every_manager_that_lives_is_shown(
    manager: Manager, settings: ManagerSettings, nobody: Caller
) -> None:
    async def shown() -> list[str]:
        return [node["id"] for node in (await status_of(nobody))["nodes"]]

    (one,) = (await status_of(nobody))["nodes"]
    assert set(one) >= {"id", "num_proc", "service_addr", "version", "api_version"}
    age = datetime.now(UTC) - datetime.fromisoformat(one["heartbeat"])
    assert age < timedelta(seconds=LIVE_SECONDS)
    async with started(settings):
        assert await shown() == [one["id"]] * 2
    # Who stops says so; who does not is shown as long as it may live.
    assert await shown() == [one["id"]]
    row = "INSERT INTO managers VALUES (:id, :facts, now() - make_interval(secs => :age))"
    async with manager.stores.database.begin() as connection:
        for name, seconds in (("crashed", LIVE_SECONDS + 1), ("silent", LIVE_SECONDS - 10)):
            values = {"id": name, "facts": f'{{"id": "{name}"}}', "age": seconds}
            await connection.execute(sa.text(row), values)
    assert await shown() == sorted([one["id"], "silent"])
    async with manager.stores.database.begin() as connection:
        await connection.execute(
            sa.text("DELETE FROM managers WHERE holder IN ('crashed', 'silent')")
        )


async def ask_session(caller: Caller, name: str) -> Answer:
    return await caller.ask("POST", "/session", body_of(name, enqueueOnly=True))


async def test_a_frozen_cluster_begins_nothing_and_lets_run_what_runs(
    root: Caller, alice: Caller, nobody: Caller, agent: ScriptedAgent, create: Create
) -> None:
    made = await create(alice, "goes-on")
    assert (await root.ask("PUT", "/manager/status", FROZEN)).status == 204
    told = await status_of(nobody)
    assert (told["status"], told["active_sessions"]) == ("frozen", 1)
    [node] = told["nodes"]
    assert (node["status"], node["active_sessions"], node["num_proc"]) == ("frozen", 1, 1)
    for path in ("/session", "/session/_/create"):
        refused = await alice.ask("POST", path, body_of("refused"))
        assert (refused.status, refused.slug) == (503, "server-frozen")
        assert int(refused.headers["Retry-After"]) > 0
    change = await root.graph('mutation { create_domain(name: "f", props: {}) { ok msg } }')
    assert change["data"]["create_domain"] is None
    assert "frozen" in change["errors"][0]["message"]
    run = await alice.ask(
        "POST", "/session/goes-on", {"mode": "query", "code": "1", "runId": "frozen-run"}
    )
    assert run.status == 200, run.body
    assert (await alice.ask("GET", "/session/goes-on")).json["status"] == "RUNNING"
    assert (await alice.ask("POST", "/session/goes-on/rename?name=went-on")).status == 204
    assert (await alice.ask("DELETE", "/session/went-on")).status == 200
    assert (await root.ask("PUT", "/manager/status", RUNNING)).status == 204
    assert (await status_of(nobody))["status"] == "running"
    assert (await ask_session(alice, "after")).status == 201
    assert (await alice.ask("DELETE", "/session/after?forced=true")).status == 200
    assert made["status"] == "RUNNING"
    assert agent.agent_id


async def test_what_waits_is_kept_and_told_why_and_starts_after_the_thaw(
    root: Caller, alice: Caller, agent: ScriptedAgent
) -> None:
    async def operate(op: str) -> None:
        body = {"op": op, "args": [agent.agent_id]}
        assert (await root.ask("POST", "/manager/scheduler/operation", body)).status == 204

    await operate("exclude-agents")
    assert (await ask_session(alice, "waits")).status == 201
    assert (await root.ask("PUT", "/manager/status", FROZEN)).status == 204
    await operate("include-agents")

    async def told_why() -> bool:
        why = (await alice.ask("GET", "/session/waits/why")).json
        return "has frozen the cluster" in why["text"]

    await until(told_why)
    assert (await alice.ask("GET", "/session/waits")).json["status"] == "PENDING"
    # It holds nothing, so nobody has to wait for it.
    assert (await status_of(alice))["active_sessions"] == 0
    assert (await root.ask("PUT", "/manager/status", RUNNING)).status == 204

    async def runs() -> bool:
        return bool((await alice.ask("GET", "/session/waits")).json["status"] == "RUNNING")

    await until(runs)
    assert (await alice.ask("DELETE", "/session/waits")).status == 200
    assert agent.agent_id


async def test_force_kill_ends_all_that_is_placed(
    root: Caller, alice: Caller, bob: Caller, agent: ScriptedAgent, create: Create
) -> None:
    for caller, name in ((alice, "killed-1"), (alice, "killed-2"), (bob, "killed-3")):
        await create(caller, name)
    kill = {"status": "frozen", "force_kill": True}
    assert (await root.ask("PUT", "/manager/status", kill)).status == 204

    async def is_empty() -> bool:
        return bool((await status_of(root))["active_sessions"] == 0)

    await until(is_empty)
    history = (await bob.ask("GET", "/session/killed-3/status-history?full=true")).json
    assert "force-terminated" in str(history)
    assert agent.agent_id


async def test_every_manager_knows_soon(
    root: Caller,
    alice: Caller,
    settings: ManagerSettings,
    http: aiohttp.ClientSession,
    agent: ScriptedAgent,
) -> None:
    async with started(settings) as other:
        there = Caller(http, other.address, alice.access_key, alice.secret_key)
        for body, word in ((FROZEN, 503), (RUNNING, 201)):
            assert (await root.ask("PUT", "/manager/status", body)).status == 204
            async with asyncio.timeout(SOON_SECONDS):
                while (await ask_session(there, "elsewhere")).status != word:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert (await alice.ask("DELETE", "/session/elsewhere?forced=true")).status == 200
    assert agent.agent_id


async def test_a_manager_that_starts_in_a_frozen_cluster_is_frozen(
    root: Caller, alice: Caller, settings: ManagerSettings, http: aiohttp.ClientSession
) -> None:
    assert (await root.ask("PUT", "/manager/status", FROZEN)).status == 204
    async with started(settings) as other:
        there = Caller(http, other.address, alice.access_key, alice.secret_key)
        refused = await ask_session(there, "too-early")
    assert (refused.status, refused.slug) == (503, "server-frozen")


async def test_who_froze_the_cluster_is_kept(manager: Manager, root: Caller) -> None:
    for _ in range(2):
        assert (await root.ask("PUT", "/manager/status", FROZEN)).status == 204
    async with manager.stores.database.begin() as connection:
        rows = (await connection.execute(sa.text("select * from cluster_status"))).all()
    assert [(row.status, row.changed_by) for row in rows] == [("frozen", "root@example.com")]


async def test_the_announcement_is_shown_to_everybody_until_it_is_taken_back(
    root: Caller, nobody: Caller
) -> None:
    async def tells(expected: dict[str, Any]) -> None:
        async def look() -> bool:
            return bool((await nobody.ask("GET", "/manager/announcement")).json == expected)

        await until(look)

    await tells({"enabled": False, "message": ""})
    for message in ("**Back** at noon", "Back at one"):
        body = {"enabled": True, "message": message}
        assert (await root.ask("POST", "/manager/announcement", body)).status == 204
        await tells(body)
    gone = {"enabled": False, "message": None}
    assert (await root.ask("POST", "/manager/announcement", gone)).status == 204
    await tells({"enabled": False, "message": ""})


async def test_nodes_are_taken_out_of_use_and_back(
    manager: Manager, root: Caller, agent: ScriptedAgent
) -> None:
    async def operate(op: str, *names: str) -> Answer:
        return await root.ask("POST", "/manager/scheduler/operation", {"op": op, "args": names})

    async def is_schedulable() -> bool:
        async with manager.stores.database.begin() as connection:
            query = sa.text("select schedulable from agents where id = :id")
            return bool(await connection.scalar(query, {"id": agent.agent_id}))

    assert (await operate("exclude-agents", agent.agent_id, agent.agent_id)).status == 204
    assert not await is_schedulable()
    # One that is not known: nothing is done.
    refused = await operate("include-agents", agent.agent_id, "i-nobody")
    assert (refused.status, refused.json["title"]) == (404, "No such agent instance.")
    assert "i-nobody" in refused.json["msg"]
    assert not await is_schedulable()
    assert (await operate("include-agents", agent.agent_id)).status == 204
    assert await is_schedulable()


async def test_the_scheduler_is_woken_and_looked_at(root: Caller, agent: ScriptedAgent) -> None:
    for event in ("schedule", "prepare"):
        answer = await root.ask("POST", "/manager/scheduler/trigger", {"event": event})
        assert answer.status == 204
    unknown = await root.ask("POST", "/manager/scheduler/trigger", {"event": "scale_services"})
    assert (unknown.status, unknown.slug) == (503, "not-implemented")
    told = (await root.ask("GET", "/manager/scheduler/status")).json
    assert [one["healthy"] for one in told["schedule"]] == [True]
    assert f"agent.drive:{agent.agent_id}" in [one["loop"] for one in told["prepare"]]


async def test_the_latest_records_are_shown_without_secrets(root: Caller, manager: Manager) -> None:
    marker = f"test.{uuid.uuid4().hex}"
    log.warning(marker, session="s-1", secret_key="swordfish")
    log.error(f"{marker}.error")
    answer = await root.ask("GET", "/manager/logs?level=WARNING&limit=1000")
    assert (answer.status, answer.json["manager"]) == (200, "manager-1")
    ours = [each for each in answer.json["items"] if each["event"].startswith(marker)]
    assert [each["level"] for each in ours] == ["WARNING", "ERROR"]
    assert ours[0]["fields"] == {"session": "s-1", "secret_key": "***"}
    assert "manager.rpc_not_encrypted" in {each["event"] for each in answer.json["items"]}
    assert len((await root.ask("GET", "/manager/logs?level=WARNING&limit=1")).json["items"]) == 1

    done = await run_inside(manager, "admin", "logs", "--level", "error", "--limit", "1000")
    assert (done.returncode, done.stderr) == (0, "of manager-1\n")
    (line,) = [each for each in done.stdout.splitlines() if marker in each]
    assert "ERROR" in line
    done = await run_inside(manager, "admin", "logs", "--output", "json", name="alice")
    assert done.returncode == 5


async def test_a_manager_that_stops_lets_others_go_on_at_once(settings: ManagerSettings) -> None:
    async with started(settings) as manager:
        held = sa.text("select count(*) from leases where expires_at > now()")
        assert await until(lambda: manager.stores.database.read(lambda db: db.scalar(held)))
    database = open_database(settings.db, "test")
    assert await database.read(lambda db: db.scalar(held)) == 0
    await database.close()
