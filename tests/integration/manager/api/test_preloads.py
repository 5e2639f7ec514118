"""Images are brought to nodes and taken from them: who may, what is refused, and what is told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from backendai.agent.faults import EngineUnreachable, ImageInUse, RegistryLoginRefused
from backendai.common.contracts.agent import Nothing, Pulled, PullImage, RemoveImage
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_accounts import done, refused
from tests.integration.manager.api.test_client import run
from tests.integration.manager.api.test_images import (
    CREATE_REGISTRY,
    DELETE_REGISTRY,
    events_of,
)
from tests.integration.manager.world import fetch

Create = Callable[..., Awaitable[dict[str, Any]]]
HOST = "cr.preload.example.com"
IMAGE = f"{HOST}/team/tool:1"
OWN = "only-here:1"
PRELOAD, UNLOAD = (
    "mutation($images: [String]!, $agents: [String]!)"
    f" {{ {verb}_image(references: $images, target_agents: $agents) {{ ok msg task_id }} }}"
    for verb in ("preload", "unload")
)


@pytest.fixture
async def root(as_user: Callable[[str], Caller], manager: Manager) -> AsyncIterator[Caller]:
    """A superadmin, who has made a registry known, and two images."""
    caller = as_user("root")
    props = {"url": f"https://{HOST}", "type": "docker", "username": "robot", "password": "fish"}
    answer = await caller.graph(CREATE_REGISTRY, hostname=HOST, props=props)
    assert "errors" not in answer, answer
    for name, registry, digest in ((IMAGE, HOST, "sha256:1"), (OWN, "", "")):
        await fetch(
            manager.stores.database,
            "insert into images (id, name, architecture, registry, digest, is_local) values"
            " (gen_random_uuid(), :name, 'x86_64', :registry, :digest, :local)"
            " on conflict do nothing returning 1",
            name=name,
            registry=registry,
            digest=digest,
            local=not registry,
        )
    yield caller
    await caller.graph(DELETE_REGISTRY, hostname=HOST)


async def ended(root: Caller, query: str, agents: list[str], *images: str) -> tuple[str, str]:
    """How a task has ended, and its last words."""
    task_id = (await done(root, query, images=list(images), agents=agents))["task_id"]
    event, data = (await events_of(root, task_id))[-2]
    return event, data["message"]


@pytest.mark.parametrize("query", [PRELOAD, UNLOAD])
async def test_only_superadmins_may_and_know_what_they_name(
    root: Caller, alice: Caller, as_user: Callable[[str], Caller], agent: ScriptedAgent, query: str
) -> None:
    named = {"images": [IMAGE], "agents": [agent.agent_id]}
    for stranger in (alice.but(access_key=None), alice.but(secret_key="wrong")):
        body = {"query": query, "variables": named}
        assert (await stranger.ask("POST", "/admin/gql", body)).status == 401
    for other in (alice, as_user("carol"), as_user("mallory"), as_user("eve")):
        assert "no permission" in await refused(other, query, **named)
    for wrong, told in (
        ({"images": []}, "name at least one image"),
        ({"agents": [None]}, "name at least one image"),
        ({"agents": [f"i-{number}" for number in range(1001)]}, "at most 1000"),
        ({"agents": ["i-nowhere"]}, "there is no agent 'i-nowhere'"),
        ({"images": ["nothing:1"]}, "No such environment image"),
        ({"images": [OWN]}, "of no registry"),
    ):
        assert told in await refused(root, query, **{**named, **wrong})
    assert not agent.asked_of("pull_image") + agent.asked_of("remove_image")


async def test_a_node_gets_an_image_with_progress_and_its_login(
    root: Caller, agent: ScriptedAgent
) -> None:
    async def pull(request: PullImage) -> Pulled:
        count = len(agent.asked_of("pull_image"))
        if count == 1:
            raise EngineUnreachable("away")
        return Pulled(progress="1/3 layers") if count == 2 else await agent.have_image(request)

    agent.pull = pull
    assert await ended(root, PRELOAD, [agent.agent_id], IMAGE) == ("bgtask_done", "1 of 1 done.")
    asked = agent.asked_of("pull_image")
    assert len(asked) == 3
    assert {(one.image, one.digest, one.login.password) for one in asked} == {
        (IMAGE, "sha256:1", "fish")
    }
    noted = (await root.ask("GET", "/audit?limit=5")).body.decode()
    assert "image.preload" in noted
    assert "fish" not in noted


async def test_what_a_node_refuses_is_told(root: Caller, agent: ScriptedAgent) -> None:
    async def refuse(_: PullImage) -> Pulled:
        raise RegistryLoginRefused(f"{IMAGE}: unauthorized")

    agent.pull = refuse
    both = (IMAGE, "cr.example.com/stable/shell:1.0")
    event, told = await ended(root, PRELOAD, [agent.agent_id], *both)
    assert event == "bgtask_failed"
    assert told.startswith("Not everything was done. 0 of 2 done. Failed: ")
    assert f"{agent.agent_id}: {IMAGE}: {IMAGE}: unauthorized" in told

    async def older(request: PullImage) -> Pulled:
        made = await agent.have_image(request)
        assert made.image is not None
        return Pulled(image=type(made.image)(name=IMAGE, digest="x", architecture="", size_bytes=1))

    agent.pull = older
    event, told = await ended(root, PRELOAD, [agent.agent_id], IMAGE)
    assert (event, "rescan it" in told) == ("bgtask_failed", True)


async def test_an_image_is_taken_from_a_node_where_nobody_needs_it(
    root: Caller, alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name, image=IMAGE)
    event, told = await ended(root, UNLOAD, [agent.agent_id], IMAGE)
    assert (event, "1 kernels of sessions need it" in told) == ("bgtask_failed", True)
    assert agent.asked_of("remove_image") == []
    assert (await alice.ask("DELETE", f"/session/{name}?forced=true")).status == 200

    async def refuse(_: RemoveImage) -> Nothing:
        raise ImageInUse("a container of somebody else")

    agent.remove = refuse
    event, told = await ended(root, UNLOAD, [agent.agent_id], IMAGE)
    assert (event, "somebody else" in told) == ("bgtask_failed", True)
    agent.remove = None
    assert await ended(root, UNLOAD, [agent.agent_id], IMAGE) == ("bgtask_done", "1 of 1 done.")


async def test_the_commands_show_the_task(
    root: Caller, manager: Manager, agent: ScriptedAgent
) -> None:
    for verb in ("preload", "unload"):
        words = ("admin", "image", verb, IMAGE, "--agent", agent.agent_id)
        shown = await run(manager, *words)
        assert (shown.returncode, shown.stdout) == (0, "1 of 1 done.\n"), shown.stderr
    begun = await run(manager, *words, "--detach")
    listed = (await root.ask("GET", "/background-tasks?limit=1")).json["items"]
    assert begun.stdout.strip() in json.dumps(listed)
