"""The life of a session over REST: who may, create, look, end, restart, rename."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from backendai.common.contracts.agent import KernelState, ResourceUse
from backendai.common.http import serve
from backendai.common.settings.checks import HostPort
from backendai.manager.app import Manager
from backendai.manager.callbacks.loop import LEASE_NAME
from backendai.manager.db import tables as t
from backendai.manager.sessions import creation, rest
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]

ROUTES = [
    ("POST", "/session", {"name": "nobodys", "image": "python:3.11"}),
    ("GET", "/session/{s}", None),
    ("PATCH", "/session/{s}", None),
    ("DELETE", "/session/{s}", None),
    ("POST", "/session/{s}/rename?name=renamed", None),
    ("GET", "/session/{s}/status-history", None),
    ("GET", "/session/{s}/why", None),
    ("GET", "/session/{s}/abusing-report", None),
    ("GET", "/session/{s}/dependency-graph", None),
    ("GET", "/session/{s}/direct-access-info", None),
    ("GET", "/session/_/match?id=00", None),
]


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES)
async def test_no_credential_is_refused(nobody: Caller, verb: str, path: str, body: Any) -> None:
    answer = await nobody.ask(verb, path.format(s="some-session"), body)
    assert (answer.status, answer.slug) == (401, "auth-failed")


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES)
async def test_a_wrong_signature_is_refused(alice: Caller, verb: str, path: str, body: Any) -> None:
    answer = await alice.but(secret_key="wrong").ask(verb, path.format(s="some-session"), body)
    assert (answer.status, answer.slug) == (401, "auth-failed")


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES)
async def test_an_expired_date_is_refused(alice: Caller, verb: str, path: str, body: Any) -> None:
    late = alice.but(shift=timedelta(minutes=-15, seconds=-2))
    answer = await late.ask(verb, path.format(s="some-session"), body)
    assert (answer.status, answer.slug) == (400, "invalid-auth-params")


@pytest.mark.parametrize(("verb", "path", "body"), [r for r in ROUTES if "{s}" in r[1]])
async def test_sessions_of_others_are_not_there(
    alice: Caller, bob: Caller, create: Create, name: str, verb: str, path: str, body: Any
) -> None:
    made = await create(alice, name, enqueueOnly=True)
    for reference in (name, made["sessionId"]):
        answer = await bob.ask(verb, path.format(s=reference), body)
        assert (answer.status, answer.slug) == (404, "object-not-found")
    owned = path.format(s=name) + ("&" if "?" in path else "?") + "owner_access_key=AKALICE"
    assert (await bob.ask(verb, owned, body)).status == 403
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200


async def test_a_create_waits_until_it_runs(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    assert made["status"] == "RUNNING"
    assert made["created"] is True
    assert made["servicePorts"][0]["name"] == "jupyter"
    again = await create(alice, name)
    assert (again["sessionId"], again["created"]) == (made["sessionId"], False)
    refused = await alice.ask("POST", "/session", body_of(name, reuseIfExists=False))
    assert (refused.status, refused.slug) == (400, "session-already-exists")
    assert refused.json["data"]["existingSessionId"] == made["sessionId"]
    other = await alice.ask(
        "POST", "/session", body_of(name, image="cr.example.com/stable/shell:1.0")
    )
    assert other.slug == "session-already-exists"
    spec = agent.asked_of("ensure")[0].spec
    assert spec.slots == {"cpu": "1", "mem": "268435456"}
    assert spec.shared_memory_bytes == 32 * 1024 * 1024


async def test_a_create_without_resources_gets_the_defaults(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name, config={"resources": {"mem": "256m"}})
    await create(alice, f"{name}-b", config={"resources": None})
    spec, other = [request.spec for request in agent.asked_of("ensure")]
    assert spec.slots == {"cpu": "1", "mem": str(256 << 20)}
    assert other.slots == {"cpu": "1", "mem": str(1 << 30)}


async def test_a_create_that_waits_too_long_says_so(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    agent.holds = True
    made = await create(alice, name, maxWaitSeconds=1)
    assert made["status"] == "TIMEOUT"
    agent.release()
    assert (await create(alice, name))["status"] == "RUNNING"


async def test_a_client_that_leaves_a_waiting_create_is_no_failure(
    alice: Caller,
    agent: ScriptedAgent,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(rest, "CLIENT_CHECK_SECONDS", 0.05)
    agent.holds = True
    asked = asyncio.create_task(alice.ask("POST", "/session", body_of(name)))
    await until(lambda: _is_asked(agent))
    asked.cancel()

    async def is_told() -> bool:
        return "session.client_gone" in caplog.messages

    await until(is_told)
    agent.release()
    assert (await alice.ask("DELETE", f"/session/{name}?forced=true")).status == 200
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []


async def _is_asked(agent: ScriptedAgent) -> bool:
    return bool(agent.asked_of("ensure"))


async def test_info_and_history_tell_what_happened(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name, config={"environ": {"A": "B"}})
    info = (await alice.ask("GET", f"/session/{made['sessionId']}")).json
    assert info["status"] == "RUNNING"
    assert info["image"] == info["lang"] == "python:3.11"
    assert info["environ"] == "{'A': 'B'}"
    assert info["containerId"].startswith("container-")
    by_status = (await alice.ask("GET", f"/session/{name}/status-history")).json["result"]
    assert {"pending", "scheduled", "running"} <= by_status.keys()
    lines = (await alice.ask("GET", f"/session/{name}/status-history?full=1")).json["history"]
    assert [line["to"] for line in lines if line["kernel_id"] is None][-1] == "RUNNING"
    why = (await alice.ask("GET", f"/session/{name}/why")).json
    assert why["text"] == "It runs."


async def test_a_waiting_session_tells_why(alice: Caller, create: Create, name: str) -> None:
    await create(alice, name, enqueueOnly=True)

    async def reason() -> Any:
        return (await alice.ask("GET", f"/session/{name}/why")).json["waiting"]

    waiting = await until(reason)
    assert waiting["rule"]
    assert waiting["detail"]
    assert (await alice.ask("DELETE", f"/session/{name}")).json == {"stats": {}}
    dead = (await alice.ask("GET", f"/session/{name}/why")).json
    assert dead["status"] == "CANCELLED"


async def test_an_end_frees_the_name_and_tells_the_use(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, manager: Manager
) -> None:
    agent.use = ResourceUse(cpu_used_milliseconds=1500.0, memory_bytes=1024, memory_bytes_max=2048)
    made = await create(alice, name)
    agent._tell()
    measured = sa.text("select last_use from kernels where session_id = :id")

    async def is_measured() -> bool:
        async with manager.stores.database.begin() as connection:
            return bool(await connection.scalar(measured, {"id": made["sessionId"]}))

    await until(is_measured)
    answer = await alice.ask("DELETE", f"/session/{name}")
    stats = answer.json["stats"]
    assert stats["version"] == 2
    assert stats["status"] == "terminated"
    assert stats["cpu_used"]["current"] == "1500"
    assert stats["mem"]["stats.max"] == "2048"
    ended = await alice.ask("GET", f"/session/{name}")
    assert (ended.json["sessionId"], ended.json["status"]) == (made["sessionId"], "TERMINATED")
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 404
    fresh = await create(alice, name)
    assert fresh["created"] is True
    assert fresh["sessionId"] != made["sessionId"]
    by_name = await alice.ask("GET", f"/session/{name}")
    assert (by_name.json["sessionId"], by_name.json["status"]) == (fresh["sessionId"], "RUNNING")
    by_id = await alice.ask("GET", f"/session/{made['sessionId']}")
    assert by_id.json["status"] == "TERMINATED"
    assert by_id.json["terminationTime"]


async def test_only_force_ends_what_is_being_made(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    agent.holds = True
    await create(alice, name, enqueueOnly=True)

    async def is_preparing() -> bool:
        info = await alice.ask("GET", f"/session/{name}")
        return bool(info.json["status"] == "PREPARING")

    await until(is_preparing)
    refused = await alice.ask("DELETE", f"/session/{name}")
    assert (refused.status, refused.slug) == (403, "generic-forbidden")
    assert (await alice.ask("DELETE", f"/session/{name}?forced=true")).status == 200
    assert (await alice.ask("GET", f"/session/{name}")).json["status"] == "TERMINATED"


async def test_a_recursive_end_takes_the_dependents_too(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    first = await create(alice, name)
    agent.holds = True
    await create(alice, f"{name}-b", dependencies=[name], enqueueOnly=True)
    await create(alice, f"{name}-c", dependencies=[f"{name}-b"], enqueueOnly=True)
    tree = (await alice.ask("GET", f"/session/{name}-c/dependency-graph")).json
    assert tree["depends_on"][0]["depends_on"][0]["session_id"] == first["sessionId"]
    assert tree["status"].startswith("KernelStatus.")
    results = (await alice.ask("DELETE", f"/session/{name}?recursive=true")).json
    assert len(results) == 3
    for each in (name, f"{name}-b", f"{name}-c"):
        info = await alice.ask("GET", f"/session/{each}")
        assert info.json["status"] in ("TERMINATED", "CANCELLED")


async def test_a_missing_dependency_is_named(alice: Caller, name: str) -> None:
    answer = await alice.ask("POST", "/session", body_of(name, dependencies=["nothere"]))
    assert answer.status == 404
    assert "nothere" in answer.json["msg"]


async def test_the_callback_is_told_how_the_session_fares(
    manager: Manager, alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    async with manager.stores.database.begin() as connection:
        # The manager of the test before may hold the turn for a while.
        await connection.execute(sa.delete(t.leases).where(t.leases.c.name == LEASE_NAME))
    told: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/told", take)

    async def is_told(event: str) -> bool:
        return event in {one["event"] for one in told}

    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        made = await create(alice, name, callbackUrl=f"http://{address}/told")
        await until(lambda: is_told("started"))
        assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
        await until(lambda: is_told("terminated"))
    events = [one["event"] for one in told]
    assert events == ["enqueued", "scheduled", "started", "terminating", "terminated"]
    assert {(one["type"], one["session_id"]) for one in told} == {
        ("session_lifecycle", made["sessionId"])
    }


async def test_a_restart_gives_a_new_generation(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    assert (await alice.ask("PATCH", f"/session/{name}")).status == 204
    info = (await alice.ask("GET", f"/session/{name}")).json
    assert info["status"] == "RUNNING"
    generations = {request.generation for request in agent.asked_of("ensure")}
    assert len(generations) >= 2


async def test_a_restart_needs_a_running_session(alice: Caller, create: Create, name: str) -> None:
    await create(alice, name, enqueueOnly=True)
    assert (await alice.ask("PATCH", f"/session/{name}")).status == 409
    await alice.ask("DELETE", f"/session/{name}")


async def test_a_rename_is_refused_where_the_name_is_taken(
    alice: Caller, create: Create, name: str
) -> None:
    await create(alice, name, enqueueOnly=True)
    await create(alice, f"{name}-x", enqueueOnly=True)
    taken = await alice.ask("POST", f"/session/{name}/rename?name={name}-x")
    assert taken.slug == "session-already-exists"
    bad = await alice.ask("POST", f"/session/{name}/rename?name=-rf")
    assert bad.slug == "invalid-api-params"
    assert (await alice.ask("POST", f"/session/{name}/rename?name={name}-y")).status == 204
    assert (await alice.ask("GET", f"/session/{name}-y")).status == 200
    for each in (f"{name}-x", f"{name}-y"):
        await alice.ask("DELETE", f"/session/{each}")


async def test_ids_match_by_prefix(alice: Caller, bob: Caller, create: Create, name: str) -> None:
    made = await create(alice, name, enqueueOnly=True)
    prefix = made["sessionId"][:8]
    found = (await alice.ask("GET", f"/session/_/match?id={prefix}")).json["matches"]
    assert [each["id"] for each in found] == [made["sessionId"]]
    assert (await bob.ask("GET", f"/session/_/match?id={prefix}")).json["matches"] == []
    await alice.ask("DELETE", f"/session/{name}")


async def test_admins_act_for_others_of_their_domain_only(
    as_user: Callable[[str], Caller], alice: Caller, create: Create, name: str
) -> None:
    made = await create(alice, name, enqueueOnly=True)
    path = f"/session/{name}?owner_access_key=AKALICE"
    assert (await as_user("mallory").ask("GET", path)).status == 403
    assert (await as_user("mallory").ask("GET", f"/session/{made['sessionId']}")).status == 404
    assert (await as_user("carol").ask("GET", path)).status == 200
    assert (await as_user("root").ask("GET", f"/session/{made['sessionId']}")).status == 200
    over = await as_user("carol").ask("GET", f"/session/{name}?owner_access_key=AKROOT")
    assert over.status == 403
    assert (await as_user("root").ask("DELETE", path)).status == 200


async def test_a_monitor_only_looks(as_user: Callable[[str], Caller], name: str) -> None:
    assert (await as_user("eve").ask("POST", "/session", body_of(name))).status == 401
    assert (await as_user("eve").ask("GET", f"/session/{name}")).status == 404


async def test_the_same_token_makes_one_session(alice: Caller, create: Create, name: str) -> None:
    token = {"X-BackendAI-Client-Token": f"token-{name}"}
    body = body_of(name, enqueueOnly=True)
    answers = await asyncio.gather(
        *(alice.ask("POST", "/session", body, headers=token) for _ in range(20))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["sessionId"] for answer in answers}) == 1
    assert sum(answer.json["created"] for answer in answers) == 1
    other = await alice.ask("POST", "/session", body_of(f"{name}-z"), headers=token)
    assert (other.status, other.slug) == (422, "client-token-reused")
    await alice.ask("DELETE", f"/session/{name}")


async def test_a_token_that_found_a_session_never_makes_another(
    alice: Caller, create: Create, name: str
) -> None:
    made = await create(alice, name, enqueueOnly=True)
    body = body_of(name, enqueueOnly=True)
    token = {"X-BackendAI-Client-Token": f"token-{name}"}
    found = (await alice.ask("POST", "/session", body, headers=token)).json
    assert (found["sessionId"], found["created"]) == (made["sessionId"], False)
    await alice.ask("DELETE", f"/session/{name}")
    again = (await alice.ask("POST", "/session", body, headers=token)).json
    assert (again["sessionId"], again["created"]) == (made["sessionId"], False)


@pytest.mark.parametrize("headers", [{}, {"X-BackendAI-Client-Token": "token-of-a-lost-answer"}])
async def test_a_create_whose_commit_went_unanswered_finds_its_own_session(
    alice: Caller, name: str, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    insert, times = creation.insert_session, []

    async def insert_and_lose_the_answer(*arguments: Any) -> Any:
        times.append(await insert(*arguments))
        # As after a connection that broke: the same statement once more.
        return await insert(*arguments)

    monkeypatch.setattr(creation, "insert_session", insert_and_lose_the_answer)
    made = await alice.ask("POST", "/session", body_of(name, enqueueOnly=True), headers=headers)
    assert (made.status, made.json["created"], len(times)) == (201, True, 1)
    assert made.json["sessionId"] == str(times[0].id)


async def test_one_name_makes_one_session(alice: Caller, name: str) -> None:
    body = body_of(name, enqueueOnly=True, reuseIfExists=False)
    answers = await asyncio.gather(*(alice.ask("POST", "/session", body) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [400] * 19
    await alice.ask("DELETE", f"/session/{name}")


async def test_no_more_run_than_the_policy_allows(
    as_user: Callable[[str], Caller], agent: ScriptedAgent, name: str
) -> None:
    tiny = as_user("tiny")
    bodies = [body_of(f"{name}-{index}", enqueueOnly=True) for index in range(10)]
    answers = await asyncio.gather(*(tiny.ask("POST", "/session", body) for body in bodies))
    assert {answer.status for answer in answers} == {201}
    query = 'query { compute_session_list(limit: 20, offset: 0, status: "%s") { total_count } }'

    async def two_run() -> bool:
        found = await tiny.graph(query % "RUNNING")
        return bool(found["data"]["compute_session_list"]["total_count"] == 2)

    await until(two_run)
    pending = await tiny.graph(query % "PENDING")
    assert pending["data"]["compute_session_list"]["total_count"] == 8
    for index in reversed(range(10)):
        await tiny.ask("DELETE", f"/session/{name}-{index}?forced=true")


async def test_no_more_wait_than_the_policy_allows(
    as_user: Callable[[str], Caller], name: str
) -> None:
    patience = as_user("patience")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    bodies = [
        body_of(f"{name}-{index}", enqueueOnly=True, startsAt=later)
        | {"type": "batch"}
        | {"startupCommand": "true"}
        for index in range(8)
    ]
    answers = await asyncio.gather(*(patience.ask("POST", "/session", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [412] * 5
    refused = next(answer for answer in answers if answer.status == 412)
    assert "waiting 3, limit 3" in str(refused.json)
    made = [body for body, answer in zip(bodies, answers, strict=True) if answer.status == 201]
    await patience.ask("DELETE", f"/session/{made[0]['name']}?forced=true")
    again = await patience.ask("POST", "/session", body_of(f"{name}-x", enqueueOnly=True))
    assert again.status == 201
    for one in (f"{name}-x", *(str(body["name"]) for body in made[1:])):
        await patience.ask("DELETE", f"/session/{one}?forced=true")


async def test_a_cluster_is_made_whole(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name, clusterSize=3)
    hosts = [request.spec.cluster_hostname for request in agent.asked_of("ensure")]
    assert sorted(set(hosts)) == ["main1", "sub1", "sub2"]
    found = await alice.graph(
        "query($id: UUID!) { compute_session(id: $id) {"
        " cluster_size containers { cluster_role cluster_hostname status } } }",
        id=made["sessionId"],
    )
    containers = found["data"]["compute_session"]["containers"]
    assert [each["cluster_hostname"] for each in containers] == ["main1", "sub1", "sub2"]


async def test_a_batch_session_reports_its_end(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name, type="batch", startupCommand="echo 1")
    kernel = next(iter(agent.kernels))
    assert agent.asked_of("ensure")[0].spec.startup_command == "echo 1"
    agent.change(kernel, state=KernelState.EXITED, exit_code=3, reason="task-failed")
    query = "query($id: UUID!) { compute_session(id: $id) { status result status_info } }"

    async def ended() -> Any:
        found = (await alice.graph(query, id=made["sessionId"]))["data"]["compute_session"]
        return found if found["status"] == "TERMINATED" else None

    assert (await until(ended))["result"] == "FAILURE"
