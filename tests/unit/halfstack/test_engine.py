"""Which engine is taken, from what the machine offers."""

from pathlib import Path

import pytest

from backendai.halfstack import engine, network
from backendai.halfstack.engine import find_engine, probe_docker_host
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout
from backendai.halfstack.services import Probe


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "_SYSTEM_SOCKET", str(tmp_path / "docker.sock"))


async def test_a_named_daemon_that_is_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match="does not answer"):
        await find_engine(Layout(tmp_path), f"unix://{tmp_path}/none.sock")


async def test_root_without_daemon_gets_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine.shutil, "which", lambda name: f"/usr/bin/{name}")
    found = await find_engine(Layout(tmp_path))
    assert (found.backend, found.own) == ("docker", True)


async def test_root_without_programs_gets_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    found = await find_engine(Layout(tmp_path))
    assert found.backend == "process"
    assert "dockerd" in found.reason


async def test_a_user_without_permission_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker.sock").touch()
    monkeypatch.setattr(engine.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(engine.os, "access", lambda path, mode: False)
    found = await find_engine(Layout(tmp_path))
    assert found.backend == "process"
    assert "group docker" in found.reason


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        ("unix:///a/b.sock", Probe("http", "/a/b.sock", path="/_ping")),
        ("tcp://10.0.0.1:2375", Probe("http", "10.0.0.1", 2375, "/_ping")),
    ],
)
def test_addresses_of_daemons(text: str, probe: Probe) -> None:
    assert probe_docker_host(text) == probe


@pytest.mark.parametrize("text", ["", "unix://", "tcp://x", "docker.sock", "ssh://h"])
def test_other_addresses_are_refused_with_examples(text: str) -> None:
    with pytest.raises(SetupFault) as caught:
        probe_docker_host(text)
    assert "unix:///" in caught.value.fix


def test_a_used_network_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    import ipaddress

    used = [ipaddress.ip_network("10.70.3.0/24")]
    monkeypatch.setattr(network, "_list_used_networks", lambda: used)
    assert network._choose_octet(6) == 71


def test_a_full_address_space_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import ipaddress

    monkeypatch.setattr(
        network, "_list_used_networks", lambda: [ipaddress.ip_network("10.0.0.0/8")]
    )
    with pytest.raises(SetupFault, match="no private network"):
        network._choose_octet(6)
