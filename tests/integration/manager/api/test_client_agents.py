"""Nodes as administrators see and steer them: the API, our own SDK and command."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from backendai.client import Client, Config
from backendai.common.faults import AgentNotFound, AuthFailed, Fault, InsufficientPrivilege
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.command import run_inside as run
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_client import environ_of

Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client


async def test_without_a_credential_or_with_a_wrong_one_nothing_is_told(manager: Manager) -> None:
    for secret in ("", "wrong"):
        environ = {**environ_of(manager, "root"), "BACKEND_SECRET_KEY": secret}
        with pytest.raises(Fault) as caught:
            async with Client(Config.from_environment(environ)) as client:
                await client.agents.list()
        assert secret == "" or isinstance(caught.value, AuthFailed)


@pytest.mark.parametrize("name", ["alice", "carol", "eve"])
async def test_who_is_no_superadmin_sees_and_changes_nothing(
    manager: Manager, agent: ScriptedAgent, root: Client, name: str
) -> None:
    async with Client(Config.from_environment(environ_of(manager, name))) as caller:
        with pytest.raises(InsufficientPrivilege):
            await caller.agents.pause(agent.agent_id)
        with pytest.raises(Fault, match="no permission"):
            await caller.agents.get(agent.agent_id)
    refused = await run(manager, "admin", "agent", "pause", agent.agent_id, name=name)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert (await root.agents.get(agent.agent_id)).schedulable


async def test_a_node_is_listed_with_what_it_has(
    manager: Manager, agent: ScriptedAgent, root: Client
) -> None:
    found = await root.agents.get(agent.agent_id)
    assert (found.status, found.resource_group, found.schedulable) == ("ALIVE", "default", True)
    assert found.available_slots == {"cpu": "8", "mem": str(16 << 30)}
    assert found in await root.agents.list(status="ALIVE", resource_group="default")
    assert await root.agents.list(resource_group="nowhere") == ()
    condition = f'id == "{agent.agent_id}"'
    assert await root.agents.list(condition=condition, order="-id") == (found,)
    listed = await run(manager, "admin", "agent", "list", "--filter", condition)
    assert "cpu 8, mem 16g" in listed.stdout
    shown = await run(manager, "admin", "agent", "info", agent.agent_id, "--output", "json")
    assert json.loads(shown.stdout)["available_slots"] == {"cpu": "8", "mem": str(16 << 30)}
    with pytest.raises(AgentNotFound):
        await root.agents.get("i-nowhere")


async def test_a_paused_node_gets_nothing_new_until_it_is_resumed(
    manager: Manager, agent: ScriptedAgent, root: Client, alice: Caller, create: Create, name: str
) -> None:
    assert (await run(manager, "admin", "agent", "pause", agent.agent_id)).returncode == 0
    records = (await root.cluster.log(level="WARNING")).items
    told = [each.fields for each in records if each.event == "agent.paused"]
    assert told[-1]["agent"] == agent.agent_id
    assert told[-1]["by"] == "root@example.com"
    assert not (await root.agents.get(agent.agent_id)).schedulable
    waiting = asyncio.create_task(create(alice, name))

    async def reason() -> Any:
        answer = await alice.ask("GET", f"/session/{name}/why")
        return answer.status == 200 and answer.json["waiting"]

    assert "not-schedulable" in str(await until(reason))
    assert (await run(manager, "admin", "agent", "resume", agent.agent_id)).returncode == 0
    assert (await waiting)["status"] == "RUNNING"
    log = (await root.audit.list(target_kind="agent", target_id=agent.agent_id)).items
    assert [(entry.action, entry.after) for entry in log] == [
        ("agent.modify", {"schedulable": True}),
        ("agent.modify", {"schedulable": False}),
    ]


async def test_draining_waits_for_what_runs(
    manager: Manager, agent: ScriptedAgent, root: Client, alice: Caller, create: Create, name: str
) -> None:
    await create(alice, name)
    mistyped = await run(manager, "admin", "agent", "drain", agent.agent_id, "i-nowhere")
    assert mistyped.returncode != 0
    assert (await root.agents.get(agent.agent_id)).schedulable
    tired = await run(manager, "admin", "agent", "drain", agent.agent_id, "--max-wait", "1s")
    assert tired.returncode != 0
    assert f"1 on {agent.agent_id}" in tired.stderr
    drained = asyncio.create_task(run(manager, "admin", "agent", "drain", agent.agent_id))
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
    assert (await drained).returncode == 0
    node = await root.agents.get(agent.agent_id)
    assert (node.schedulable, node.container_count) == (False, 0)


@pytest.mark.parametrize(
    ("props", "told"),
    [
        ("{}", "name one of schedulable, scaling_group"),
        ('{scaling_group: "gpu"}', "says itself that it is in default"),
        ('{scaling_group: "gpu", schedulable: false}', "agent.toml"),
        ('{scaling_group: "no name!"}', "is no name"),
    ],
)
async def test_what_cannot_be_changed_is_told_and_nothing_is_done(
    agent: ScriptedAgent, root: Client, as_user: Callable[[str], Caller], props: str, told: str
) -> None:
    text = f'mutation {{ modify_agent(id: "{agent.agent_id}", props: {props}) {{ ok msg }} }}'
    answer = (await as_user("root").graph(text))["data"]["modify_agent"]
    assert not answer["ok"]
    assert told in answer["msg"]
    assert (await root.agents.get(agent.agent_id)).schedulable


async def test_what_is_not_there_is_named(manager: Manager, root: Client) -> None:
    with pytest.raises(AgentNotFound):
        await root.agents.pause(f"i-{uuid.uuid4().hex}")
    with pytest.raises(Fault, match="unknown column"):
        await root.agents.list(condition="nothing == 1")
    refused = await run(manager, "admin", "agent", "resume", "i-nowhere")
    assert refused.returncode != 0
    assert "i-nowhere" in refused.stderr


async def test_tokens_are_made_listed_and_withdrawn(manager: Manager, root: Client) -> None:
    made = await run(manager, "admin", "agent", "join-token", "--expires", "10m")
    (token,) = await root.agents.list_join_tokens()
    listed = await run(manager, "admin", "agent", "join-tokens", "--output", "json")
    assert json.loads(listed.stdout) == [
        {"id": token.id, "resource_group": "default", "expires_at": token.expires_at}
    ]
    assert made.stdout.strip() not in listed.stdout
    assert (await run(manager, "admin", "agent", "withdraw-token", token.id)).returncode == 0
    again = await run(manager, "admin", "agent", "withdraw-token", token.id)
    assert again.returncode != 0
    assert "join token" in again.stderr
    empty = await run(manager, "admin", "agent", "join-tokens")
    assert (empty.stdout, empty.stderr) == ("", "No token is open.\n")
