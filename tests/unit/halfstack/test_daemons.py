"""The configuration files that `up` writes are ones that the daemons read."""

from pathlib import Path

import pytest

from backendai.agent.networks import NetworkNames
from backendai.agent.settings import AgentSettings
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.load import load_settings
from backendai.halfstack.daemons import (
    RELAY_SECRET,
    Core,
    Node,
    find_docker_host,
    name_agent,
    name_interfaces,
    specify_agent,
    specify_manager,
    write_agent_config,
    write_manager_config,
)
from backendai.halfstack.engine import Engine
from backendai.halfstack.places import Layout
from backendai.halfstack.stores import StoreAddresses
from backendai.manager.settings import ManagerSettings

_ADDRESSES = StoreAddresses(
    "postgresql://u:a-password@10.0.0.1:5433/db", "redis://:a-password@10.0.0.2:6380/3", "e:2380"
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


def _node(layout: Layout, engine: Engine) -> Node:
    return Node(layout, _ADDRESSES, 6001, 6002, 9182, engine, layout.root / "bundles")


_OWN = Engine("docker", "unix:///x/docker.sock", True, "")
_NONE = Engine("process", "", False, "")


def test_the_manager_reads_its_file(layout: Layout) -> None:
    write_manager_config(Core(layout, _ADDRESSES, 8081, 9181))
    settings = load_settings(ManagerSettings, "manager", layout.etc / "manager.toml", environ={})
    assert (settings.db.addr.port, settings.db.name, settings.db.user) == (5433, "db", "u")
    assert (settings.redis.addr.host, settings.redis.db) == ("10.0.0.2", 3)
    assert settings.manager.rpc_keypair is not None
    assert settings.manager.rpc_keypair.exists()
    assert settings.relay.secret_key_file == layout.etc / RELAY_SECRET
    first = load_secret_key(layout.etc / RELAY_SECRET)
    write_manager_config(Core(layout, _ADDRESSES, 8081, 9181))
    assert load_secret_key(layout.etc / RELAY_SECRET) == first


def test_addresses_in_their_rarer_forms_reach_the_files(layout: Layout) -> None:
    rare = StoreAddresses("postgresql://o%40h@db/a%20b", "redis://:long%2Fword@[::1]", "[::1]:2379")
    write_manager_config(Core(layout, rare, 8081, 9181))
    settings = load_settings(ManagerSettings, "manager", layout.etc / "manager.toml", environ={})
    assert (settings.db.user, settings.db.name, settings.db.password) == ("o@h", "a b", "")
    assert (str(settings.redis.addr), settings.redis.password) == ("[::1]:6379", "long/word")
    assert str(settings.etcd.addr) == "[::1]:2379"


@pytest.mark.parametrize("engine", [_OWN, _NONE])
def test_the_agent_reads_its_file(layout: Layout, engine: Engine) -> None:
    write_agent_config(_node(layout, engine))
    settings = load_settings(AgentSettings, "agent", layout.etc / "agent.toml", environ={})
    assert settings.agent.mode == engine.backend
    assert settings.agent.id == f"i-{layout.instance}"


def test_writing_again_changes_nothing(layout: Layout) -> None:
    core = Core(layout, _ADDRESSES, 8081, 9181)
    write_manager_config(core)
    first = specify_manager(core, ("postgres",))
    write_manager_config(core)
    assert specify_manager(core, ("postgres",)).digest == first.digest


def test_a_changed_file_is_a_restart(layout: Layout) -> None:
    write_manager_config(Core(layout, _ADDRESSES, 8081, 9181))
    first = specify_manager(Core(layout, _ADDRESSES, 8081, 9181), ())
    write_manager_config(Core(layout, _ADDRESSES, 8082, 9181))
    assert specify_manager(Core(layout, _ADDRESSES, 8081, 9181), ()).digest != first.digest


def test_the_agent_waits_only_for_what_is_ours(layout: Layout) -> None:
    write_agent_config(_node(layout, _OWN))
    assert specify_agent(_node(layout, _OWN), ("postgres", "etcd")).after == ("etcd", "dockerd")
    assert specify_agent(_node(layout, _NONE), ()).after == ()


def test_the_agents_interfaces_are_known_by_name(layout: Layout) -> None:
    names = NetworkNames(name_agent(layout))
    assert name_interfaces(layout) == names.interface_prefix


def test_a_purge_finds_the_engine_that_up_used(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_docker_host(layout) is None
    write_agent_config(_node(layout, Engine("docker", "tcp://10.0.0.9:2375", False, "")))
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    assert find_docker_host(layout) == "tcp://10.0.0.9:2375"
    write_agent_config(_node(layout, Engine("process", "", False, "")))
    assert find_docker_host(layout) is None
