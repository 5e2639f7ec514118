"""`backendai ag resources`: slots, devices and who holds them, with or without an engine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from backendai.agent.cli import ag
from backendai.common.settings.render import render_toml

MOCK = """
[[device]]
id = "gpu-0"
slot = "cuda.shares"
model = "Mock 80G"
memory = "80g"
numa-node = 0
quantum = "0.1"
utilisation = 12.5
[[device]]
id = "gpu-1"
slot = "cuda.shares"
quantum = "0.1"
problem = "XID 79"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "mock.toml").write_text(MOCK)
    path = tmp_path / "agent.toml"
    sections = {
        "agent": {"mode": "docker", "id": "i-x"},
        "container": {"docker-host": f"unix://{tmp_path}/nowhere.sock"},
        "accelerators": {
            "plugins": ["mock", "nosuch"],
            "mock": {"file": str(tmp_path / "mock.toml")},
        },
        "resource": {"reserved-mem": 0},
    }
    path.write_text(render_toml(sections))
    return path


def test_a_person_sees_devices_and_why_one_is_sick(config: Path) -> None:
    result = CliRunner().invoke(ag, ["resources", "-f", str(config)])
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert rows["cuda.shares"].split() == ["cuda.shares", "1"]
    assert "Mock 80G" in rows["gpu-0"]
    assert "80g" in rows["gpu-0"]
    assert rows["gpu-0"].endswith("? of 1  12.5 %  well")
    assert rows["gpu-1"].endswith("sick: XID 79")
    assert "Who holds what is not known" in result.output
    assert "plugin.unknown: plugin nosuch, installed cuda, mock" in result.output


def test_a_program_reads_the_same(config: Path) -> None:
    result = CliRunner().invoke(ag, ["resources", "--json", "-f", str(config)])
    document = json.loads(result.output)
    assert document["slots"]["cuda.shares"] == "1"
    assert [one["problem"] for one in document["devices"]] == ["", "XID 79"]
    assert document["plugins"]["mock"] == "1"
    assert document["engine"]


def test_bad_settings_are_told(config: Path) -> None:
    config.write_text('[accelerators]\nstrategy = "random"\n[accelerators.cuda]\nslot = "half"\n')
    result = CliRunner().invoke(ag, ["resources", "-f", str(config)])
    assert result.exit_code == 1
    for words in ("accelerators.strategy", "accelerators.cuda.slot"):
        assert words in result.output
