"""Committed generated files equal what the code generates now."""

import pytest

from backendai.agent.settings import AgentSettings
from backendai.common.settings.load import load_settings
from backendai.manager.settings import ManagerSettings
from tests.contract.generate import GENERATED, ROOT


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_file_is_current(name: str) -> None:
    path = ROOT / name
    assert path.exists(), "run: python -m tests.contract.generate"
    assert path.read_text() == GENERATED[name](), "run: python -m tests.contract.generate"


@pytest.mark.parametrize("form", ["sample", "halfstack"])
def test_a_configuration_is_one_that_its_daemon_reads(form: str) -> None:
    folder = ROOT / "configs"
    agent = load_settings(AgentSettings, "agent", folder / f"agent/{form}.toml", environ={})
    manager = load_settings(ManagerSettings, "manager", folder / f"manager/{form}.toml", environ={})
    assert agent.etcd.addr == manager.etcd.addr
