"""Our own SDK and command against a real manager: presets, and the cluster's administration."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backendai.client import Client, Config
from backendai.client.results import NewSession
from backendai.common.faults import AuthFailed, Forbidden, InvalidParams, ServerFrozen
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent

PROGRAM = Path(sys.executable).with_name("backendai")


def environ_of(manager: Manager, name: str) -> dict[str, str]:
    return {
        "BACKEND_ENDPOINT": f"http://{manager.address}",
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": f"AK{name.upper()}",
        "BACKEND_SECRET_KEY": f"secret-of-{name}",
    }


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client
        await client.cluster.thaw()
        await client.cluster.delete_config("config", is_prefix=True)


async def run(
    manager: Manager, *words: str, name: str = "root", typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """`backendai …` as a person runs it."""
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environ_of(manager, name)}
    return await asyncio.to_thread(
        subprocess.run,
        [PROGRAM, *words],
        env=environ,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_who_is_no_superadmin_changes_nothing(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        for change in (
            alice.cluster.freeze(),
            alice.cluster.announce("x"),
            alice.cluster.set_config("config/x", "y"),
        ):
            with pytest.raises(AuthFailed):
                await change
    refused = await run(manager, "admin", "manager", "freeze", name="alice")
    assert refused.returncode == 5


async def test_the_cluster_is_frozen_and_thawed(
    manager: Manager, root: Client, alice: Caller, agent: ScriptedAgent
) -> None:
    assert (await root.cluster.standing()).status == "running"
    await root.cluster.freeze()
    standing = await root.cluster.standing()
    assert (standing.status, standing.active_sessions) == ("frozen", 0)
    with pytest.raises(ServerFrozen):
        await root.sessions.create(NewSession(image="python:3.11", name="too-early"))
    refused = await alice.ask("POST", "/session", body_of("x"))
    assert refused.status == 503
    await root.cluster.thaw()
    waited = await run(manager, "admin", "manager", "freeze", "--wait")
    assert (waited.returncode, waited.stdout) == (0, "")
    shown = await run(manager, "admin", "manager", "status", "--output", "json")
    assert json.loads(shown.stdout)["status"] == "frozen"
    assert (await run(manager, "admin", "manager", "unfreeze")).returncode == 0
    assert "running" in (await run(manager, "admin", "manager", "status")).stdout
    assert agent.agent_id


async def test_a_wait_for_an_empty_cluster_may_be_too_long(
    manager: Manager, root: Client, alice: Caller, agent: ScriptedAgent
) -> None:
    assert (await alice.ask("POST", "/session", body_of("stays"))).status == 201
    late = await run(manager, "admin", "manager", "freeze", "--wait", "--max-wait", "1s")
    assert late.returncode == 3
    assert "stays frozen" in late.stderr
    kills = await run(manager, "admin", "manager", "freeze", "--wait", "--force-kill")
    assert kills.returncode == 0
    assert (await root.cluster.standing()).active_sessions == 0
    assert agent.agent_id


async def test_the_announcement_comes_and_goes(manager: Manager, root: Client) -> None:
    await root.cluster.announce("Back at noon")

    async def is_told() -> bool:
        return (await root.cluster.announcement()).message == "Back at noon"

    await until(is_told)
    assert (await run(manager, "admin", "announcement", "get")).stdout == "Back at noon\n"
    typed = await run(manager, "admin", "announcement", "update", typed="from stdin\n")
    assert typed.returncode == 0
    empty = await run(manager, "admin", "announcement", "update", "-m", " ")
    assert empty.returncode == 2
    assert (await run(manager, "admin", "announcement", "delete")).returncode == 0

    async def is_gone() -> bool:
        return not (await root.cluster.announcement()).enabled

    await until(is_gone)
    silent = await run(manager, "admin", "announcement", "get")
    assert (silent.stdout, silent.stderr) == ("", "Nothing is announced.\n")


async def test_the_configuration_is_read_and_written(manager: Manager, root: Client) -> None:
    await root.cluster.set_config("config/t", {"a": {"b": 1}, "c": "x"})
    assert await root.cluster.get_config("config/t/c") == "x"
    assert await root.cluster.get_config("config/t/none") is None
    assert await root.cluster.get_config_below("config/t") == {"a": {"b": "1"}, "c": "x"}
    with pytest.raises(Forbidden, match="pose as an agent"):
        await root.cluster.set_config("nodes/agents/i", "x")
    with pytest.raises(InvalidParams):
        await root.cluster.set_config("config/t", {})
    for value in ("7", "true", "plain", '["list"]', '{"k": "v"}'):
        put = await run(manager, "admin", "etcd", "set", "config/t/v", value)
        assert put.returncode == 0, put.stderr
    shown = await run(manager, "admin", "etcd", "get", "-p", "config/t/v")
    assert json.loads(shown.stdout) == {"": '["list"]', "k": "v"}
    assert (await run(manager, "admin", "etcd", "get", "config/t/c")).stdout == "x\n"
    assert (await run(manager, "admin", "etcd", "delete", "-p", "config/t")).returncode == 0
    missing = await run(manager, "admin", "etcd", "get", "config/t/c")
    assert (missing.returncode, missing.stdout) == (1, "")


async def test_presets_say_whether_they_could_start(
    manager: Manager, root: Client, agent: ScriptedAgent
) -> None:
    [listed] = await root.cluster.list_presets()
    assert (listed.name, listed.shared_memory) == ("small", str(64 << 20))
    room = await root.cluster.check_presets("default", "default")
    assert room.presets[0].allocatable
    assert room.scaling_group_remaining["cpu"] == "8"
    shown = await run(manager, "presets", "--output", "json", name="alice")
    assert json.loads(shown.stdout) == [
        {
            "name": "small",
            "resources": {"cpu": "1", "mem": str(1 << 30)},
            "shared_memory": str(64 << 20),
            "starts_now": True,
            "why": None,
        }
    ]
    assert "small" in (await run(manager, "presets")).stdout
    unknown = await run(manager, "presets", "--resource-group", "none")
    assert unknown.returncode == 6
    assert agent.agent_id
