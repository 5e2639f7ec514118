"""Sessions become images: who may, under which names, and what survives."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from backendai.agent.faults import EngineRefused, EngineUnreachable, ImageInUse
from backendai.client import Client, Config
from backendai.common.contracts.agent import (
    COMMIT_LABEL,
    CommitKernel,
    Committed,
    Nothing,
    RemoveImage,
)
from backendai.common.faults import Conflict
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.conftest import body_of, started
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_client import environ_of, run
from tests.integration.manager.api.test_images import events_of

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]
IMAGES = "{ images { name tag labels { key value } size_bytes installed } }"
FORGET = "mutation($r: String!) { forget_image(reference: $r) { ok msg } }"
ONE_IMAGE = "query($r: String) { image(reference: $r) { name tag } }"
ROUTES = [
    ("POST", "/session/{s}/commit", {"image_name": "tools"}),
    ("GET", "/session/{s}/commit", None),
    ("POST", "/session/{s}/imagify?image_name=tools", None),
]


@pytest.fixture
def image_name() -> str:
    return f"tools-{uuid.uuid4().hex[:8]}"


async def committed(caller: Caller, session: str, name: str) -> str:
    """A commit to its end; the image's whole name."""
    answer = await caller.ask("POST", f"/session/{session}/commit", {"image_name": name})
    assert answer.status == 201, answer.body
    assert await ending(caller, answer.json["task_id"]) == "bgtask_done"
    return str(answer.json["image"])


async def ending(caller: Caller, task_id: str) -> str:
    return (await events_of(caller, task_id))[-2][0]


async def names_of(caller: Caller) -> list[str]:
    listed = (await caller.graph(IMAGES))["data"]["images"]
    return [f"{each['name']}:{each['tag']}" for each in listed]


async def hold(_: CommitKernel) -> Committed:
    await asyncio.sleep(0.05)
    return Committed()


async def keep(_: RemoveImage) -> Nothing:
    raise ImageInUse("a container of somebody else")


async def test_strangers_are_refused(alice: Caller) -> None:
    for verb, path, body in ROUTES:
        await refuse_strangers(alice, (verb, path.format(s="some-session"), body))


async def test_others_odd_names_and_sessions_that_cannot_are_refused(
    alice: Caller,
    bob: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    manager: Manager,
    create: Create,
    name: str,
) -> None:
    made = await create(alice, name)
    for verb, path, body in ROUTES:
        for caller in (bob, as_user("mallory")):
            for reference in (name, made["sessionId"]):
                answer = await caller.ask(verb, path.format(s=reference), body)
                assert (answer.status, answer.slug) == (404, "object-not-found"), path
    for wrong in ("Tools", "../x", "a/b", "a:", "x" * 65, ""):
        answer = await alice.ask("POST", f"/session/{name}/commit", {"image_name": wrong})
        assert (answer.status, answer.slug) == (400, "invalid-api-params"), wrong
    assert agent.asked_of("commit") == []
    await create(alice, f"{name}-waits", enqueueOnly=True, config={"resources": {"cpu": "7.5"}})
    answer = await alice.ask("POST", f"/session/{name}-waits/commit")
    assert answer.status == 409
    assert answer.json["data"] == {"status": "PENDING"}
    assert (await alice.ask("DELETE", f"/session/{name}-waits")).status == 200
    change = f"update agents set backend = 'process' where id = '{agent.agent_id}'"
    await manager.stores.database.transact(lambda conn: conn.exec_driver_sql(change))
    answer = await alice.ask("POST", f"/session/{name}/commit")
    assert (answer.status, answer.slug) == (503, "not-implemented")


async def test_an_image_is_made_and_its_owner_starts_sessions_of_it(
    alice: Caller,
    bob: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    made = await create(alice, name)
    answer = await alice.ask("POST", f"/session/{name}/imagify?image_name={image_name}")
    assert answer.status == 201
    begun = answer.json
    assert begun["image"].startswith("custom/")
    assert begun["image"].endswith(f"/{image_name}:latest")
    events = await events_of(alice, begun["bgtask_id"])
    assert [each for each, _ in events[-2:]] == ["bgtask_done", "server_close"]
    assert events[-2][1]["message"] == f"{begun['image']} is made, 12.3 MB in all."
    (order,) = agent.asked_of("commit")
    assert order.kernel.kernel_id == begun["kernel"]
    assert order.labels["ai.backend.customized-image.user.email"] == "alice@example.com"
    assert order.bytes_max == 10 << 30
    info = (await alice.ask("GET", f"/session/{name}/commit")).json
    assert (info["status"], info["kernel"]) == ("ready", begun["kernel"])
    assert (await alice.ask("GET", f"/session/{made['sessionId']}")).json["status"] == "RUNNING"

    for caller in (as_user("root"), as_user("carol")):
        noted = (await caller.ask("GET", "/audit?limit=50")).json["items"]
        (entry,) = [each for each in noted if image_name in json.dumps(each)]
        assert (entry["action"], entry["email"]) == ("session.commit", "alice@example.com")
        assert entry["after"]["params"]["session_id"] == made["sessionId"]

    for reference in (image_name, f"{image_name}:latest", begun["image"]):
        again = f"{name}-{len(reference)}"
        await create(alice, again, image=reference)
        spec = agent.asked_of("ensure")[-1].spec
        assert (spec.image, spec.pull) == (begun["image"], False)
        refused = await bob.ask("POST", "/session", body_of(again, image=reference))
        assert (refused.status, refused.slug) == (404, "object-not-found")
        assert "custom/" not in json.dumps(refused.json["data"]["near"])
        found = await bob.graph(ONE_IMAGE, r=reference)
        assert found["data"]["image"] is None
    assert begun["image"] in await names_of(alice)
    assert begun["image"] in await names_of(as_user("root"))
    for other in (bob, as_user("carol"), as_user("mallory"), as_user("eve")):
        assert begun["image"] not in await names_of(other)


async def test_superadmins_see_all_of_them_and_run_their_own_alone(
    alice: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    manager: Manager,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    root = as_user("root")
    await create(alice, name)
    hers = await committed(alice, name, f"a-python-{image_name}")
    refused = await root.ask("POST", "/session", body_of(f"{name}-r", image=hers))
    assert (refused.status, refused.slug) == (404, "object-not-found")
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        chosen = await client.images.find_default()
    assert chosen is not None
    assert "custom/" not in chosen.reference
    await create(root, f"{name}-r")
    own = await committed(root, f"{name}-r", image_name)
    await create(root, f"{name}-again", image=image_name)
    assert agent.asked_of("ensure")[-1].spec.image == own
    listed = await names_of(root)
    assert {hers, own} <= set(listed[-len([one for one in listed if "custom/" in one]) :])


async def test_a_commit_by_an_administrator_is_shown_to_its_owner(
    alice: Caller, bob: Caller, as_user: AsUser, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    agent.commit = hold
    path = f"/session/{name}/commit"
    begun = (await as_user("root").ask("POST", f"{path}?owner_access_key=AKALICE")).json
    assert (await alice.ask("POST", path)).json["task_id"] == begun["task_id"]
    refused = await bob.ask("GET", f"/events/background-task?task_id={begun['task_id']}")
    assert refused.status == 404
    agent.commit = None
    assert await ending(alice, begun["task_id"]) == "bgtask_done"


async def test_a_fenced_node_takes_names_and_images_with_it(
    alice: Caller,
    agent: ScriptedAgent,
    manager: Manager,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    image = await committed(alice, name, image_name)
    gone = f"update agents set status = 'TERMINATED' where id = '{agent.agent_id}'"
    await manager.stores.database.transact(lambda conn: conn.exec_driver_sql(gone))
    refused = await alice.ask("POST", "/session", body_of(f"{name}-b", image=image))
    assert refused.status == 404
    assert "No node has it" in refused.json["msg"]
    again = await alice.ask("POST", f"/session/{name}/commit", {"image_name": image_name})
    assert again.status == 201


async def test_owners_forget_their_own_images_alone(
    alice: Caller,
    bob: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    manager: Manager,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    await create(bob, f"{name}-b")
    hers, his = [
        await committed(caller, session, image_name)
        for caller, session in ((alice, name), (bob, f"{name}-b"))
    ]
    for stranger in (alice.but(access_key=None), alice.but(secret_key="wrong")):
        assert (await stranger.ask("POST", "/admin/gql", {"query": FORGET})).status == 401
    for other in (bob, as_user("carol"), as_user("mallory"), as_user("eve")):
        refused = (await other.graph(FORGET, r=hers))["data"]["forget_image"]
        is_monitor = other.access_key == "AKEVE"
        told = "no permission" if is_monitor else f"No such environment image. '{hers}'"
        assert refused["ok"] is False
        assert refused["msg"].startswith(told)
    everybodys = (await alice.graph(FORGET, r="python:3.11"))["data"]["forget_image"]
    assert (everybodys["ok"], "only superadmins" in everybodys["msg"]) == (False, True)

    # By the short name, which is her own of the two.
    done = await run_inside(manager, "image", "forget", image_name, name="alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert hers not in await names_of(alice)
    assert his in await names_of(bob)
    refused = await alice.ask("POST", "/session", body_of(f"{name}-c", image=hers))
    assert refused.status == 404
    noted = (await as_user("root").ask("GET", "/audit?limit=1")).json["items"][0]
    assert (noted["action"], noted["email"]) == ("image.forget", "alice@example.com")
    assert (noted["target_id"], noted["after"]) == (hers, {"is_active": False})
    again = await run_inside(manager, "image", "forget", hers, name="alice")
    assert again.returncode == 6, "it is not there any more"


async def test_asking_again_is_right_and_a_taken_name_is_not(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, image_name: str
) -> None:
    made = await create(alice, name)
    await create(alice, f"{name}-b")
    agent.commit = hold
    path, body = f"/session/{name}/commit", {"image_name": image_name}
    begun = (await alice.ask("POST", path, body)).json
    assert begun["status"] == "ongoing"
    for again in (body, None):
        assert (await alice.ask("POST", path, again)).json["task_id"] == begun["task_id"]
    assert (await alice.ask("GET", path)).json == begun
    query = "query($id: UUID!) { compute_session(id: $id) { commit_status } }"
    shown = await alice.graph(query, id=made["sessionId"])
    assert shown["data"]["compute_session"]["commit_status"] == "ongoing"
    for session, wanted in ((name, f"{image_name}-x"), (f"{name}-b", image_name)):
        refused = await alice.ask("POST", f"/session/{session}/commit", {"image_name": wanted})
        assert (refused.status, refused.slug) == (409, "conflict")
    agent.commit = None
    agent.remove = keep
    assert await ending(alice, begun["task_id"]) == "bgtask_done"
    taken = await alice.ask("POST", path, body)
    assert taken.status == 409
    assert "choose another" in taken.json["msg"]
    root = alice.but(access_key="AKROOT", secret_key="secret-of-root")
    forgotten = await root.graph(FORGET, r=begun["image"])
    assert forgotten["data"]["forget_image"]["ok"]
    assert begun["image"] not in await names_of(alice)
    assert (await alice.ask("POST", path, body)).status == 409, "the node has it still"


async def test_a_commit_survives_its_node_and_its_manager_and_a_refusal_is_told(
    settings: ManagerSettings,
    http: aiohttp.ClientSession,
    alice: Caller,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    answers = iter((EngineUnreachable("away"), EngineRefused("no space left on device")))

    async def fail(_: CommitKernel) -> Committed:
        raise next(answers)

    agent.commit = fail
    body = {"image_name": image_name}
    begun = (await alice.ask("POST", f"/session/{name}/commit", body)).json
    last, data = (await events_of(alice, begun["task_id"]))[-2]
    assert last == "bgtask_failed"
    assert "no space left on device" in data["message"]

    agent.commit = hold
    begun = (await alice.ask("POST", f"/session/{name}/commit", body)).json
    await until(lambda: asked_times(agent, 4))
    # As a manager that was killed leaves it.
    lose = (
        "update tasks set holder = 'gone', beat_at = now() - interval '1 min'"
        " where name = 'session.commit' and status = 'running'"
    )
    few = replace(settings, manager=replace(settings.manager, custom_images_max=1))
    async with started(few) as second:
        other = Caller(http, second.address, "AKALICE", "secret-of-alice")
        await second.stores.database.transact(lambda conn: conn.exec_driver_sql(lose))
        agent.commit = None
        assert await ending(other, begun["task_id"]) == "bgtask_done"
        full = await other.ask("POST", f"/session/{name}/commit", {"image_name": "one-more"})
        assert (full.status, full.slug) == (412, "quota-exceeded")
        assert full.json["data"]["limit"] == 1
    orders = agent.asked_of("commit")[2:]
    assert len({order.labels[COMMIT_LABEL] for order in orders}) == 1


async def asked_times(agent: ScriptedAgent, count: int) -> bool:
    return len(agent.asked_of("commit")) >= count


async def test_the_command_commits_and_starts_it(
    alice: Caller,
    agent: ScriptedAgent,
    manager: Manager,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    # As the official client asks: the image is called after its session.
    begun = (await alice.ask("POST", f"/session/{name}/commit")).json
    assert f"/{name}:2" in begun["path"]
    assert await ending(alice, begun["bgtask_id"]) == "bgtask_done"
    words = ("session", "commit", name, "--name", image_name)
    done = await run(manager, *words, name="alice")
    assert done.returncode == 0, done.stderr
    assert f"/{image_name}:latest is made" in done.stdout
    status = await run(manager, "session", "commit-status", name, name="alice")
    assert status.stdout == "ready\n"
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as client:
        assert (await client.sessions.commit_status(name)).image is None
        with pytest.raises(Conflict, match="choose another"):
            await client.sessions.commit(name, image_name)
