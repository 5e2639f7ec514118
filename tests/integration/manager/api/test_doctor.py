"""`mgr doctor` beside a manager that serves, with a node."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai.common.clock import SystemClock
from backendai.manager.app import Manager
from backendai.manager.doctor.examine import examine
from backendai.manager.doctor.model import Finding, Verdict
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent

Examine = Callable[[], Awaitable[dict[str, Finding]]]


@pytest.fixture
def look(manager: Manager, settings: ManagerSettings, tmp_path: Path) -> Examine:
    file = tmp_path / "manager.toml"
    file.touch(0o600)
    own = replace(settings.manager, service_addr=manager.address)

    async def run() -> dict[str, Finding]:
        found = await examine(replace(settings, manager=own), file, SystemClock())
        return {each.name: each for each in found}

    return run


async def test_a_running_cluster_is_sound_until_it_drifts(
    look: Examine,
    alice: Caller,
    agent: ScriptedAgent,
    create: Callable[..., Awaitable[dict[str, Any]]],
    name: str,
) -> None:
    await create(alice, name)
    found = await look()
    wrong = [each for each in found.values() if each.verdict is not Verdict.OK]
    assert [each.name for each in wrong] == ["RPC keypair"], wrong
    assert "a manager serves on 127.0.0.1" in found["port"].told
    assert found["agents"].told == "1 heard lately"
    assert found["RPC"].told == "1 agents answer"
    assert "nor with what nodes report" in found["drift"].told

    (kernel_id,) = agent.kernels
    agent.change(kernel_id, slots={"cpu": "7", "mem": "268435456"})
    drift = (await look())["drift"]
    assert drift.verdict is Verdict.FAILED
    assert drift.told == f"kernel {kernel_id} on {agent.agent_id}: cpu is 7, due is 1"

    await agent.stop()
    found = await look()
    assert found["RPC"].verdict is Verdict.FAILED
    assert agent.agent_id in found["RPC"].told
    assert "not every node answered" in found["drift"].told
