"""Settings: the committed sample is the generated one, and mistakes are told all at once."""

from pathlib import Path

import pytest

from backendai.agent.app import ManagerKeys
from backendai.agent.settings import AgentSettings
from backendai.common.failpoints import find_failpoints
from backendai.common.rpc.curve import generate_keypair
from backendai.common.settings.load import BadSettings, check_settings
from backendai.common.settings.render import render_sample

SAMPLE = Path(__file__).parents[3] / "configs" / "agent" / "sample.toml"


def test_the_committed_sample_is_current() -> None:
    assert SAMPLE.read_text() == render_sample(AgentSettings, "agent")


def test_mistakes_are_told_all_at_once() -> None:
    data = {"agent": {"mode": "podman", "id": "a/b"}, "container": {"kernel-uid": -1}, "x": {}}
    with pytest.raises(BadSettings) as caught:
        check_settings(AgentSettings, data, "agent.toml")
    for words in ("agent.mode", "agent.id", "container.kernel-uid", "x: is unknown"):
        assert words in str(caught.value)


@pytest.mark.parametrize("root", ["/", "/etc", "mnt", "/mnt/../var", ""])
def test_kernels_are_offered_no_directory_of_the_system(root: str) -> None:
    data = {"container": {"unmanaged-roots": [root]}}
    with pytest.raises(BadSettings, match="none of the system's"):
        check_settings(AgentSettings, data, "agent.toml")


def test_directories_that_are_offered_are_written_in_one_way() -> None:
    data = {"container": {"unmanaged-roots": ["/mnt//x/", "/data"]}}
    offered = check_settings(AgentSettings, data, "agent.toml").container.unmanaged_roots
    assert offered == ("/mnt/x", "/data")


def test_defaults_are_enough() -> None:
    assert check_settings(AgentSettings, {}, "agent.toml").agent.mode == "docker"


def test_keys_of_managers_are_read_again_when_they_change(tmp_path: Path) -> None:
    first, second = generate_keypair().public, generate_keypair().public
    path = tmp_path / "keys"
    keys = ManagerKeys(path)
    assert not keys(first)
    path.write_text(f"{first}\nnot a key\n")
    assert keys(first)
    assert not keys(second)
    path.write_text(f"{first}\n{second}\n")
    assert keys(second)
    path.unlink()
    assert not keys(first)


def test_every_step_outside_has_a_failpoint_before_and_after() -> None:
    names = find_failpoints(["backendai.agent"])
    for name in names:
        place, _, step = name.rpartition(".")
        order, _, what = step.partition("_")
        other = {"before": "after", "after": "before"}[order]
        assert f"{place}.{other}_{what}" in names


def test_the_engines_socket_may_lie_below_a_folder_with_a_space() -> None:
    data = {"container": {"docker-host": "unix:///home/a user/.bai/run/docker.sock"}}
    assert check_settings(AgentSettings, data, "agent.toml").container.docker_host
