"""Custom images that nobody is to have leave the nodes that have them."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backendai.common.contracts.agent import Committed, RemoveImage
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_commits import committed, ending, hold, keep, names_of
from tests.integration.manager.world import fetch

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]
OWN = "{ customized_images { id name tag labels { key value } } }"
FORGET = "mutation($id: String!) { forget_image_by_id(image_id: $id) { ok msg } }"
UNTAG = "mutation($id: String!) { untag_image_from_registry(id: $id) { ok msg } }"
CLEAR = "mutation { clear_images { ok msg } }"
PURGE = "mutation($email: String!) { purge_user(email: $email, props: {}) { ok msg } }"


@pytest.fixture
def image_name() -> str:
    return f"tools-{uuid.uuid4().hex[:8]}"


async def id_of(caller: Caller, image: str) -> str:
    listed = (await caller.graph(OWN))["data"]["customized_images"]
    (found,) = [each for each in listed if f"{each['name']}:{each['tag']}" == image]
    return str(found["id"])


def removals(agent: ScriptedAgent, image: str) -> list[RemoveImage]:
    return [one for one in agent.asked_of("remove_image") if one.image == image]


async def until_gone(manager: Manager, image: str) -> None:
    """Until the manager knows of no node that has it."""

    async def is_gone() -> bool:
        query = (
            "select 1 from image_agents a join images i on i.id = a.image_id where i.name = :name"
        )
        return not await fetch(manager.stores.database, query, name=image)

    await until(is_gone)


async def test_others_neither_see_nor_forget_it(
    alice: Caller,
    bob: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    image = await committed(alice, name, image_name)
    image_id = await id_of(alice, image)
    for query in (FORGET, UNTAG):
        for stranger in (alice.but(access_key=None), alice.but(secret_key="wrong")):
            body = {"query": query, "variables": {"id": image_id}}
            assert (await stranger.ask("POST", "/admin/gql", body)).status == 401
        for other in (bob, as_user("carol"), as_user("mallory")):
            for wrong in (image_id, "no-id", str(uuid.uuid4())):
                (answer,) = (await other.graph(query, id=wrong))["data"].values()
                assert (answer["ok"], "No such environment" in answer["msg"]) == (False, True)
    assert (await bob.graph(OWN))["data"]["customized_images"] == []
    assert image_id == await id_of(as_user("root"), image)
    # The tag of a registry is removed there.
    root = as_user("root")
    shown = await root.graph('{ image(reference: "cr.example.com/stable/shell:1.0") { id } }')
    (answer,) = (await root.graph(UNTAG, id=shown["data"]["image"]["id"]))["data"].values()
    assert (answer["ok"], "rescan that" in answer["msg"]) == (False, True)


async def test_a_forgotten_one_leaves_its_node_when_nobody_needs_it(
    alice: Caller,
    manager: Manager,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    image = await committed(alice, name, image_name)
    await create(alice, f"{name}-user", image=image)
    (done,) = (await alice.graph(FORGET, id=await id_of(alice, image)))["data"].values()
    assert done["ok"], done
    body = {"image_name": image_name}
    taken = await alice.ask("POST", f"/session/{name}/commit", body)
    assert (taken.status, taken.slug) == (409, "conflict")
    await manager.services.discard.step()
    assert removals(agent, image) == []

    agent.remove = keep
    assert (await alice.ask("DELETE", f"/session/{name}-user?forced=true")).status == 200

    async def is_asked() -> bool:
        return bool(removals(agent, image))

    await until(is_asked)
    agent.remove = None
    await until_gone(manager, image)
    assert {one.digest for one in removals(agent, image)} != {""}
    agent.asked.clear()
    assert await committed(alice, name, image_name) == image
    await manager.services.discard.step()
    assert removals(agent, image) == []


async def test_a_cancelled_commit_that_comes_to_its_end_leaves_nothing(
    alice: Caller,
    manager: Manager,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    image_name: str,
) -> None:
    await create(alice, name)
    agent.commit = hold
    path = f"/session/{name}/commit"
    begun = (await alice.ask("POST", path, {"image_name": image_name})).json

    async def is_ordered() -> bool:
        return bool(agent.asked_of("commit"))

    await until(is_ordered)
    assert (await alice.ask("DELETE", f"/background-tasks/{begun['task_id']}")).status == 204
    assert await ending(alice, begun["task_id"]) == "bgtask_cancelled"
    made: Committed = await agent.make_image(agent.asked_of("commit")[0])
    assert made.image is not None

    async def is_removed() -> bool:
        return begun["image"] not in agent.committed

    await until(is_removed)
    await until_gone(manager, begun["image"])
    assert begun["image"] not in await names_of(alice)


async def test_those_of_a_purged_user_go_too(
    as_user: AsUser, manager: Manager, agent: ScriptedAgent
) -> None:
    root, email = as_user("root"), f"{uuid.uuid4().hex[:8]}@example.com"
    query = (
        "mutation($email: String!, $props: UserInput!)"
        " { create_user(email: $email, props: $props) { ok msg user { uuid } } }"
    )
    props = {
        "username": email.partition("@")[0],
        "password": "a long enough passw0rd!",
        "need_password_change": False,
        "domain_name": "default",
    }
    made = (await root.graph(query, email=email, props=props))["data"]["create_user"]
    assert made["ok"], made
    image = f"custom/{made['user']['uuid'].replace('-', '')}/tools:1"
    await fetch(
        manager.stores.database,
        "insert into images (id, name, architecture, is_local) values"
        " (gen_random_uuid(), :name, 'x86_64', true) returning 1",
        name=image,
    )
    assert (await root.graph(CLEAR))["data"]["clear_images"]["ok"]
    kept = await fetch(
        manager.stores.database, "select is_active from images where name = :name", name=image
    )
    assert kept == [(True,)]
    assert (await root.graph(PURGE, email=email))["data"]["purge_user"]["ok"]
    left = await fetch(
        manager.stores.database, "select is_active from images where name = :name", name=image
    )
    assert left == [(False,)]
