"""What `export` makes of the settings of a running cluster."""

import tomllib
from pathlib import Path

import pytest

from backendai.common.settings.render import render_toml
from backendai.halfstack.export import ETC, Target, compose_settings, export, merge
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout, write_file

SETTINGS = {
    "manager": {
        "etcd": {"namespace": "local", "addr": {"host": "127.0.0.1", "port": 41000}},
        "manager": {
            "id": "m-1",
            "service-addr": {"host": "127.0.0.1", "port": 8081},
            "secret-key-file": "/old/etc/manager.secret",
            "pid-file": "/old/run/manager.pid",
        },
        "logging": {"level": "DEBUG", "format": "json"},
    },
    "agent": {"agent": {"id": "i-1"}, "container": {"docker-host": "unix:///old/docker.sock"}},
    "storage-proxy": {
        "storage-proxy": {"secret": "kept-as-it-is"},
        "volume": {"volume1": {"backend": "vfs", "path": "/old/data/volumes/volume1"}},
    },
    "webserver": {"webserver": {}, "redis": {"password": "old-password"}},
    "wsproxy": {"wsproxy": {}},
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "home")
    for name, tree in SETTINGS.items():
        write_file(found.etc / f"{name}.toml", render_toml(tree))
    return found


def test_tables_are_laid_over_each_other_and_none_removes() -> None:
    tree = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merge(tree, {"a": {"c": None, "e": 4}, "f": {"g": 5}}) == {
        "a": {"b": 1, "e": 4},
        "d": 3,
        "f": {"g": 5},
    }


def test_nothing_names_the_old_places(layout: Layout) -> None:
    text = "".join(map(render_toml, compose_settings(layout, Target("systemd", "pw")).values()))
    assert "/old/" not in text
    assert "41000" not in text


def test_what_has_no_place_stays(layout: Layout) -> None:
    found = compose_settings(layout, Target("systemd", "pw"))
    assert found["manager"]["manager"]["id"] == "m-1"
    assert found["manager"]["logging"]["level"] == "DEBUG"
    assert found["agent"]["agent"]["id"] == "i-1"
    assert found["storage-proxy"]["storage-proxy"]["secret"] == "kept-as-it-is"


def test_keys_lie_where_units_look(layout: Layout) -> None:
    found = compose_settings(layout, Target("systemd", "pw"))
    assert found["manager"]["manager"]["secret-key-file"] == f"{ETC}/manager.secret"
    assert found["wsproxy"]["relay"]["secret-key-file"] == f"{ETC}/relay.secret"


@pytest.mark.parametrize(("password", "told"), [("", None), ("redis-password", "redis-password")])
def test_the_cache_asks_for_a_password_where_it_has_one(
    layout: Layout, password: str, told: str | None
) -> None:
    found = compose_settings(layout, Target("compose", "pw", password))
    assert found["webserver"]["redis"].get("password") == told
    assert found["manager"]["db"]["password"] == "pw"


def test_the_output_can_be_read_again(layout: Layout) -> None:
    for tree in compose_settings(layout, Target("compose", "pw", "redis-password")).values():
        assert tomllib.loads(render_toml(tree)) == tree


def test_a_folder_with_something_in_it_is_left_alone(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").touch()
    with pytest.raises(SetupFault, match="not empty"):
        export(layout, "systemd", tmp_path / "out", tmp_path, print)


def test_without_a_cluster_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match="no cluster"):
        export(Layout(tmp_path / "none"), "systemd", tmp_path / "out", tmp_path, print)
