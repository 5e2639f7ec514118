"""Seeing and changing the agent of a node through its watcher: who may, and what is told."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from backendai.common.contracts.watcher import (
    CHANGE,
    CONTRACT,
    LOOK,
    NOTICES,
    ChangeUnit,
    LookAtUnit,
    UnitState,
    WatcherNotice,
)
from backendai.common.faults import Unavailable
from backendai.common.rpc.server import RpcServer
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_nodes import AsUser

PATH: Final = "/resource/watcher"
ASKS: Final = [
    ("GET", PATH),
    *(("POST", f"{PATH}/agent/{verb}") for verb in ("start", "stop", "restart")),
]
RUNNING: Final = UnitState(
    unit="backendai-agent.service",
    active="active",
    sub="running",
    since="Mon 2026-01-05 10:00:00 UTC",
    status="Serving.",
    pid=4711,
    restarts=0,
)


@pytest.fixture
async def orders(manager: Manager, agent: ScriptedAgent) -> AsyncIterator[list[str]]:
    """What the watcher of the scripted agent's node was told to do."""
    told: list[str] = []

    async def look(_request: LookAtUnit) -> UnitState:
        return RUNNING

    async def change(request: ChangeUnit) -> UnitState:
        told.append(request.verb.value)
        if request.verb.value == "stop":
            raise Unavailable("systemd does not answer")
        return msgspec.structs.replace(RUNNING, active="activating", sub="start", pid=0)

    server = RpcServer("tcp://127.0.0.1:*", None, [], CONTRACT)
    server.on(LOOK, look)
    server.on(CHANGE, change)
    key = f"{NOTICES}{agent.agent_id}"
    async with server:
        notice = msgspec.json.encode(WatcherNotice(server.address)).decode()
        await manager.stores.etcd.put(key, notice)
        yield told
        await manager.stores.etcd.delete(key)


@pytest.mark.parametrize(("method", "path"), ASKS)
async def test_only_superadmins_may(
    nobody: Caller, alice: Caller, as_user: AsUser, method: str, path: str
) -> None:
    body = {"agent_id": "i-nowhere"}
    assert (await nobody.ask(method, path, body)).status == 401
    for name in ("alice", "carol"):
        assert (await as_user(name).ask(method, path, body)).status == 401
    assert (await alice.but(secret_key="x").ask(method, path, body)).status == 401


@pytest.mark.parametrize(("method", "path"), ASKS)
async def test_a_node_that_nobody_knows_is_not_found(
    as_user: AsUser, method: str, path: str
) -> None:
    answer = await as_user("root").ask(method, path, {"agent_id": "i-nowhere"})
    assert answer.status == 404
    assert "agent" in answer.json["title"]


async def test_a_node_without_a_watcher_says_what_to_do(
    as_user: AsUser, agent: ScriptedAgent
) -> None:
    answer = await as_user("root").ask("GET", PATH, {"agent_id": agent.agent_id})
    assert answer.status == 404
    assert "enable backendai-watcher.service" in str(answer.json)


async def test_the_state_is_told_in_words_and_values(
    as_user: AsUser, agent: ScriptedAgent, orders: list[str]
) -> None:
    answer = await as_user("root").ask("GET", PATH, {"agent_id": agent.agent_id})
    told: dict[str, Any] = answer.json
    assert told["message"] == (
        "backendai-agent.service is active (running), process 4711"
        " since Mon 2026-01-05 10:00:00 UTC. It says: Serving."
    )
    assert (told["pid"], told["restarts"]) == (4711, 0)
    assert orders == []


async def test_a_restart_is_ordered_once_and_noted(
    as_user: AsUser, agent: ScriptedAgent, orders: list[str], manager: Manager
) -> None:
    body = {"agent_id": agent.agent_id}
    answer = await as_user("root").ask("POST", f"{PATH}/agent/restart", body)
    assert answer.json["active"] == "activating"
    assert orders == ["restart"]


async def test_what_systemd_refuses_is_told(
    as_user: AsUser, agent: ScriptedAgent, orders: list[str]
) -> None:
    body = {"agent_id": agent.agent_id}
    answer = await as_user("root").ask("POST", f"{PATH}/agent/stop", body)
    assert answer.status == 503
    assert "systemd does not answer" in str(answer.json)
