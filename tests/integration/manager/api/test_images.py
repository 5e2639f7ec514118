"""Images as superadmins manage them: rescans of registries, other names, limits, forgetting."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from backendai.manager.app import Manager
from backendai.manager.gate.actor import Access
from backendai.manager.graph import mutations_images
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of, started
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_accounts import done, refused
from tests.integration.manager.world import fetch
from tests.running.registry import FakeRegistry, serving

AsUser = Callable[[str], Caller]

RESCAN = "mutation($registry: String) { rescan_images(registry: $registry) { ok msg task_id } }"
ALIAS = (
    "mutation($alias: String!, $target: String!)"
    " { alias_image(alias: $alias, target: $target) { ok msg } }"
)
DEALIAS = "mutation($alias: String!) { dealias_image(alias: $alias) { ok msg } }"
FORGET = "mutation($reference: String!) { forget_image(reference: $reference) { ok msg } }"
CLEAR = "mutation($registry: String) { clear_images(registry: $registry) { ok msg } }"
MODIFY = (
    "mutation($target: String!, $props: ModifyImageInput!)"
    " { modify_image(target: $target, props: $props) { ok msg } }"
)
CONFIG = "id hostname config { url type project username password ssl_verify }"
CREATE_REGISTRY = (
    "mutation($hostname: String!, $props: CreateContainerRegistryInput!)"
    " { create_container_registry(hostname: $hostname, props: $props)"
    f" {{ container_registry {{ {CONFIG} }} }} }}"
)
MODIFY_REGISTRY = (
    "mutation($hostname: String!, $props: ModifyContainerRegistryInput!)"
    " { modify_container_registry(hostname: $hostname, props: $props)"
    f" {{ container_registry {{ {CONFIG} }} }} }}"
)
DELETE_REGISTRY = (
    "mutation($hostname: String!) { delete_container_registry(hostname: $hostname)"
    " { container_registry { hostname } } }"
)
IMAGES = (
    "{ images { name registry tag architecture digest size_bytes aliases labels { key value }"
    " supported_accelerators resource_limits { key min max } } }"
)


@pytest.fixture
def root(as_user: AsUser) -> Caller:
    return as_user("root")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry(password="swordfish")) as running:
        yield running


async def add(root: Caller, registry: FakeRegistry, **more: Any) -> None:
    props = {
        "url": f"http://{registry.host}",
        "type": "docker",
        "username": "robot",
        "password": registry.password,
        **more,
    }
    answer = await root.graph(CREATE_REGISTRY, hostname=registry.host, props=props)
    assert "errors" not in answer, answer


async def rescanned(
    root: Caller, registry: str | None, begun: asyncio.Event | None = None
) -> list[tuple[str, Any]]:
    """The events of a rescan, to its end."""
    task_id = (await done(root, RESCAN, registry=registry))["task_id"]
    return await events_of(root, task_id, begun)


async def events_of(
    caller: Caller, task_id: str, begun: asyncio.Event | None = None
) -> list[tuple[str, Any]]:
    """To the end of the stream; `begun` is set with the first event."""
    found = []
    async with caller.stream(f"/events/background-task?task_id={task_id}") as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        text = (await response.content.readuntil(b"\n\n")).decode()
        if begun is not None:
            begun.set()
        text += await response.text()
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def images_of(caller: Caller, registry: str) -> dict[str, Any]:
    answer = await caller.graph(IMAGES)
    return {
        f"{each['name']}:{each['tag']}:{each['architecture']}": each
        for each in answer["data"]["images"]
        if each["registry"] == registry
    }


# What owners may do to their custom images is tested beside commits.
FORGETTING = {"forget_image", "forget_image_by_id", "untag_image_from_registry"}


@pytest.mark.parametrize("name", sorted(mutations_images.MUTATIONS.keys() - FORGETTING))
def test_only_superadmins_change_images(name: str) -> None:
    action = mutations_images.MUTATIONS[name].action
    assert (action.access, action.writes) == (Access.SUPERADMIN, True)


async def test_strangers_and_others_see_and_change_nothing(
    root: Caller, alice: Caller, as_user: AsUser, registry: FakeRegistry
) -> None:
    await add(root, registry)
    task_id = (await done(root, RESCAN, registry=registry.host))["task_id"]
    path = f"/events/background-task?task_id={task_id}"
    for stranger in (alice.but(access_key=None), alice.but(secret_key="wrong")):
        for verb, target in (("GET", path), ("GET", "/background-tasks")):
            assert (await stranger.ask(verb, target)).status == 401
        assert (await stranger.ask("DELETE", f"/background-tasks/{task_id}")).status == 401
    for other in (alice, as_user("carol")):
        answer = await other.ask("GET", path)
        assert (answer.status, answer.slug) == (404, "object-not-found")
        assert (await other.ask("DELETE", f"/background-tasks/{task_id}")).status == 404
        assert (await other.ask("GET", "/background-tasks")).json["items"] == []
        assert "no permission" in await refused(other, RESCAN, registry=None)
        for query in ("{ container_registries { hostname } }", DELETE_REGISTRY):
            answer = await other.graph(query, hostname=registry.host)
            assert "no permission" in answer["errors"][0]["message"]


async def test_a_registry_is_rescanned_with_progress(root: Caller, registry: FakeRegistry) -> None:
    labels = {"ai.backend.resource.min.cpu": "2", "ai.backend.accelerators": "cuda,rocm"}
    digest = registry.put("stable/python", "3.11", "amd64", labels=labels)
    both = registry.put("stable/python", "3.12", "amd64", "arm64")
    registry.put("stable/windows", "1", "amd64", os="windows")
    registry.put("lab/shell", "1.0", "amd64", "arm", "arm")
    registry.put_document("lab/chart", "1", {"schemaVersion": 1})
    registry.tags["lab/empty"] = {}
    registry.busy = 1
    registry.released = asyncio.Event()
    await add(root, registry)

    events = await rescanned(root, registry.host, registry.released)
    *updates, (name, last), (closing, _) = events
    assert (name, closing) == ("bgtask_done", "server_close")
    assert last["message"].startswith("5 images found, 5 of them new. 1 failed: lab/chart:1:")
    assert updates
    assert {name for name, _ in updates} == {"bgtask_updated"}
    assert (updates[-1][1]["current_progress"], updates[-1][1]["total_progress"]) == (5, 5)

    found = await images_of(root, registry.host)
    assert sorted(found) == [
        "lab/shell:1.0:arm",
        "lab/shell:1.0:x86_64",
        "stable/python:3.11:x86_64",
        "stable/python:3.12:aarch64",
        "stable/python:3.12:x86_64",
    ]
    python = found["stable/python:3.11:x86_64"]
    assert (python["digest"], python["size_bytes"]) == (digest, 1100)
    assert python["supported_accelerators"] == ["cuda", "rocm"]
    assert {"key": "cpu", "min": "2", "max": "Infinity"} in python["resource_limits"]
    assert {found[f"stable/python:3.12:{each}"]["digest"] for each in ("x86_64", "aarch64")} == {
        both
    }

    # Who comes when it is over is told how it ended, and the list has it.
    again = await events_of(root, last["task_id"])
    assert [name for name, _ in again] == ["bgtask_done", "server_close"]
    assert (again[0][1]["status"], again[0][1]["current_progress"]) == ("done", 5)
    listed = (await root.ask("GET", "/background-tasks?limit=1")).json
    assert listed["items"][0]["task_id"] == last["task_id"]
    assert listed["items"][0]["name"] == "image.rescan"
    assert listed["total_count"] >= 1


async def test_only_the_projects_of_a_registry_are_looked_into(root: Caller) -> None:
    async with serving(FakeRegistry()) as registry:
        registry.put("stable/python", "3.11", "amd64")
        registry.put("stables/python", "3.11", "amd64")
        registry.put("lab/python", "3.11", "amd64")
        await add(root, registry, project=["stable"], username=None, password=None)
        await rescanned(root, registry.host)
        assert sorted(await images_of(root, registry.host)) == ["stable/python:3.11:x86_64"]


async def test_harbor_lists_its_projects(root: Caller, registry: FakeRegistry) -> None:
    for number in range(3):
        registry.put(f"stable/python{number}", "3.11", "amd64")
    registry.put("lab/python", "3.11", "amd64")
    await add(root, registry, type="harbor2", project=["stable"])
    for project, count in ((["stable"], 3), ([], 4)):
        props = {"project": project}
        await root.graph(MODIFY_REGISTRY, hostname=registry.host, props=props)
        await rescanned(root, registry.host)
        assert len(await images_of(root, registry.host)) == count
    assert "/v2/_catalog" not in registry.asked


async def test_a_rescan_that_gets_nowhere_fails_and_says_why(
    root: Caller, registry: FakeRegistry
) -> None:
    await add(root, registry, password="wrong")
    name, data = (await rescanned(root, registry.host))[-2]
    assert name == "bgtask_failed"
    assert "It refuses the login (401)." in data["message"]
    assert "wrong" not in data["message"]


async def test_an_unknown_registry_is_refused_with_those_that_there_are(root: Caller) -> None:
    told = await refused(root, RESCAN, registry="nowhere.example.com")
    assert "there is no 'nowhere.example.com'; there are:" in told
    assert "local" in told


async def test_a_forgotten_image_comes_back_with_a_rescan(
    root: Caller, alice: Caller, registry: FakeRegistry, name: str
) -> None:
    registry.put("stable/python", "3.11", "amd64")
    await add(root, registry)
    await rescanned(root, registry.host)
    reference = f"{registry.host}/stable/python:3.11"
    word = f"a{uuid.uuid4().hex[:8]}"
    limits = [{"key": "mem", "min": "64m", "max": "512m"}, {"key": "cpu", "max": "Infinity"}]
    await done(root, MODIFY, target=reference, props={"resource_limits": limits})
    await done(root, ALIAS, alias=word, target=reference)
    await done(root, FORGET, reference=word)
    assert await images_of(root, registry.host) == {}
    for gone in (word, reference):
        answer = await alice.ask("POST", "/session", {**body_of(name), "image": gone})
        assert (answer.status, answer.slug) == (404, "object-not-found")
    assert "No such image alias" in await refused(root, DEALIAS, alias=word)
    events = await rescanned(root, registry.host)
    assert events[-2][1]["message"] == "1 images found, 1 of them new."
    (image,) = (await images_of(root, registry.host)).values()
    assert image["aliases"] == []
    # What an administrator set outlives what registries tell.
    assert {"key": "mem", "min": "67108864", "max": "536870912"} in image["resource_limits"]
    await done(root, CLEAR, registry=registry.host)
    assert await images_of(root, registry.host) == {}


async def test_images_of_nodes_come_back_with_a_rescan(
    root: Caller, manager: Manager, agent: ScriptedAgent
) -> None:
    local = await fetch(
        manager.stores.database,
        "insert into images (id, name, architecture, is_local) values"
        " (gen_random_uuid(), :name, 'x86_64', true) returning id",
        name="forgotten:1",
    )
    await fetch(
        manager.stores.database,
        "insert into image_agents (image_id, agent_id) values (:image, :agent) returning 1",
        image=local[0][0],
        agent=agent.agent_id,
    )
    await done(root, FORGET, reference="forgotten:1")
    assert "forgotten:1:x86_64" not in await images_of(root, "")
    assert (await rescanned(root, "local"))[-2][0] == "bgtask_done"
    assert "forgotten:1:x86_64" in await images_of(root, "")


async def test_an_alias_is_a_name(root: Caller, alice: Caller, name: str) -> None:
    word = f"a{uuid.uuid4().hex[:8]}"
    await done(root, ALIAS, alias=word, target="python:3.11")
    assert word in (await images_of(root, ""))["python:3.11:x86_64"]["aliases"]
    assert "already exists" in await refused(root, ALIAS, alias=word, target="python:3.11")
    assert "No such environment image" in await refused(root, ALIAS, alias="x", target="nothing:1")
    assert "write a name such as" in await refused(root, ALIAS, alias="-x", target="python:3.11")
    await done(root, DEALIAS, alias=word)
    assert word not in (await images_of(root, ""))["python:3.11:x86_64"]["aliases"]


async def test_limits_of_an_image_bind_its_sessions(
    root: Caller, alice: Caller, agent: ScriptedAgent, name: str
) -> None:
    target = "cr.example.com/stable/shell:1.0"
    limits = [{"key": "cpu", "min": "2", "max": "3"}, {"key": "mem", "max": "512m"}]
    await done(root, MODIFY, target=target, props={"resource_limits": limits})
    try:
        for resources, wrong in (
            ({"cpu": "1"}, "less than the image's minimum 2"),
            ({"cpu": "4"}, "more than the image's maximum 3"),
            ({"mem": "1g"}, "more than the image's maximum 536870912"),
        ):
            body = body_of(name, image=target) | {"config": {"resources": resources}}
            answer = await alice.ask("POST", "/session", body)
            assert answer.status == 400
            assert wrong in json.dumps(answer.json)
        body = body_of(name, image=target) | {"config": {"resources": {}}}
        answer = await alice.ask("POST", "/session", body)
        assert answer.status == 201, answer.body
        spec = agent.asked_of("ensure")[-1].spec
        assert spec.slots == {"cpu": "2", "mem": "536870912"}
    finally:
        await alice.ask("DELETE", f"/session/{name}?forced=true")
        await done(root, MODIFY, target=target, props={"resource_limits": []})


async def test_senseless_changes_are_refused(root: Caller) -> None:
    for props, wrong in (
        ({"resource_limits": [{"key": "cpu", "min": "3", "max": "2"}]}, "minimum is more than"),
        ({"resource_limits": [{"key": "CPU", "min": "3"}]}, "is no slot name"),
        ({"resource_limits": [{"key": "cpu", "min": "many"}]}, "is no amount"),
        ({"resource_limits": [{"key": "cpu", "min": "Infinity"}]}, "a minimum is finite"),
        ({"type": "robot"}, "is none of compute"),
        ({"size_bytes": -1}, "not below zero"),
        ({"tag": "a b"}, "write a name such as"),
        ({"labels": [{"value": "x"}]}, "must not be empty"),
        ({"registry": "word"}, "is read as one of"),
    ):
        assert wrong in await refused(root, MODIFY, target="python:3.11", props=props)


async def test_an_image_is_renamed_by_its_parts(root: Caller, manager: Manager) -> None:
    await fetch(
        manager.stores.database,
        "insert into images (id, name, architecture) values"
        " (gen_random_uuid(), 'old/thing:1', 'x86_64') returning 1",
    )
    props = {
        "registry": "cr.example.com",
        "image": "new/thing",
        "tag": "2",
        "type": "system",
        "labels": [{"key": "a", "value": "b"}],
        "supported_accelerators": ["cuda"],
    }
    await done(root, MODIFY, target="old/thing:1", props=props)
    image = (await images_of(root, "cr.example.com"))["new/thing:2:x86_64"]
    assert image["supported_accelerators"] == ["cuda"]
    assert {"key": "a", "value": "b"} in image["labels"]
    assert {"key": "ai.backend.role", "value": "SYSTEM"} in image["labels"]
    await done(root, FORGET, reference="cr.example.com/new/thing:2")
    rows = await fetch(
        manager.stores.database,
        "select action, before, after from audit_log where target_kind = 'image'"
        " order by id desc limit 1",
    )
    assert rows == [("image.forget", {"is_active": True}, {"is_active": False})]


async def test_a_password_of_a_registry_never_comes_back(
    root: Caller, manager: Manager, as_user: AsUser
) -> None:
    host = f"r{uuid.uuid4().hex[:8]}.example.com"
    props = {
        "url": "https://registry.example.com/",
        "type": "docker",
        "project": ["b", "a"],
        "username": "robot",
        "password": "swordfish",
        "ssl_verify": False,
    }
    made = await root.graph(CREATE_REGISTRY, hostname=host, props=props)
    shown = made["data"]["create_container_registry"]["container_registry"]
    assert (shown["id"], shown["hostname"]) == (host, host)
    assert shown["config"] == {
        **props,
        "url": "https://registry.example.com",
        "project": ["a", "b"],
        "password": "*****",
    }
    sealed = "select password_encrypted from container_registries where hostname = :host"
    (before,) = await fetch(manager.stores.database, sealed, host=host)
    assert b"swordfish" not in before[0]
    # As a page gives it back that shows it.
    await root.graph(MODIFY_REGISTRY, hostname=host, props={"password": "*****", "url": "http://x"})
    assert await fetch(manager.stores.database, sealed, host=host) == [before]
    listed = await root.ask("GET", "/config/docker-registries")
    assert listed.json[host] == "http://x"
    changed = await root.graph(MODIFY_REGISTRY, hostname=host, props={"password": ""})
    config = changed["data"]["modify_container_registry"]["container_registry"]["config"]
    assert config["password"] is None
    query = (
        f"query($hostname: String!) {{ container_registry(hostname: $hostname) {{ {CONFIG} }} }}"
    )
    answer = await root.graph(query, hostname=host)
    assert answer["data"]["container_registry"]["config"] == config
    log = await fetch(
        manager.stores.database,
        "select before, after from audit_log where target_kind = 'container_registry'"
        " and target_id = :host",
        host=host,
    )
    assert "swordfish" not in json.dumps([list(row) for row in log])
    await root.graph(DELETE_REGISTRY, hostname=host)
    answer = await root.graph(query, hostname=host)
    assert answer["data"]["container_registry"] is None
    again = await root.graph(DELETE_REGISTRY, hostname=host)
    assert "No such container registry" in again["errors"][0]["message"]


async def test_senseless_registries_are_refused(root: Caller) -> None:
    for hostname, props, wrong in (
        ("word", {}, "hostname: write what the names of its images begin with"),
        ("UPPER.example.com", {}, "hostname: write what"),
        ("a.example.com", {"url": "ftp://x"}, "url: write an address"),
        ("a.example.com", {"url": "https://me:secret@x"}, "url: write an address"),
        ("a.example.com", {"type": "quay"}, "'quay' is none of docker, harbor2"),
        ("a.example.com", {"project": ["../x"]}, "is no project"),
        ("a.example.com", {"password": "two\nlines"}, "password: write one line"),
    ):
        given = {"url": "https://x", "type": "docker", **props}
        answer = await root.graph(CREATE_REGISTRY, hostname=hostname, props=given)
        assert wrong in answer["errors"][0]["message"]


async def test_a_running_task_is_cancelled(root: Caller, registry: FakeRegistry) -> None:
    registry.put("stable/python", "3.11", "amd64")
    registry.released = asyncio.Event()
    await add(root, registry)
    task_id = (await done(root, RESCAN, registry=registry.host))["task_id"]
    await until(lambda: asked(registry, "manifests"))
    assert (await root.ask("DELETE", f"/background-tasks/{task_id}")).status == 204
    name, data = (await events_of(root, task_id))[-2]
    assert (name, data["message"]) == ("bgtask_cancelled", "It was cancelled.")
    registry.released.set()
    assert await images_of(root, registry.host) == {}


async def test_a_task_of_a_manager_that_stops_has_failed(
    settings: ManagerSettings, http: aiohttp.ClientSession, registry: FakeRegistry
) -> None:
    registry.put("stable/python", "3.11", "amd64")
    registry.released = asyncio.Event()
    async with started(settings) as first:
        root = Caller(http, first.address, "AKROOT", "secret-of-root")
        await add(root, registry)
        task_id = (await done(root, RESCAN, registry=registry.host))["task_id"]
        await until(lambda: asked(registry, "manifests"))
    registry.released.set()
    async with started(settings) as second:
        root = Caller(http, second.address, "AKROOT", "secret-of-root")
        events = await events_of(root, task_id)
    assert [name for name, _ in events] == ["bgtask_failed", "server_close"]
    assert events[0][1]["message"] == "The manager stopped."


async def asked(registry: FakeRegistry, word: str) -> bool:
    return any(word in path for path in registry.asked)


async def test_a_task_is_cancelled(root: Caller, manager: Manager) -> None:
    """One that no manager here can do waits, and one that waits is over at once."""
    rows = await fetch(
        manager.stores.database,
        "insert into tasks (name, user_id) select 'unknown', id from users"
        " where email = 'root@example.com' returning id",
    )
    task_id = str(rows[0][0])
    for _ in range(2):
        assert (await root.ask("DELETE", f"/background-tasks/{task_id}")).status == 204
    events = await events_of(root, task_id)
    assert [name for name, _ in events] == ["bgtask_cancelled", "server_close"]
    for wrong in ("x", ""):
        answer = await root.ask("GET", f"/events/background-task?task_id={wrong}")
        assert answer.status == 400
    answer = await root.ask("GET", f"/events/background-task?task_id={uuid.uuid4()}")
    assert (answer.status, answer.slug) == (404, "object-not-found")


async def test_a_task_whose_manager_died_has_failed(root: Caller, manager: Manager) -> None:
    rows = await fetch(
        manager.stores.database,
        "insert into tasks (name, user_id, status, holder, beat_at) select 'image.rescan', id,"
        " 'running', 'gone', now() - interval '1 min' from users where email = 'root@example.com'"
        " returning id",
    )
    task_id = str(rows[0][0])

    async def is_over() -> bool:
        listed = (await root.ask("GET", "/background-tasks?limit=100")).json["items"]
        return any(each["task_id"] == task_id and each["status"] == "failed" for each in listed)

    await until(is_over)
    events = await events_of(root, task_id)
    assert [name for name, _ in events] == ["bgtask_failed", "server_close"]
    assert events[0][1]["message"] == "The manager stopped."
