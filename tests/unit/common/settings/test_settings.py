"""Settings: every mistake is told at once, and what is generated from a tree reads back as it."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import trafaret as t
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.settings.checks import (
    HostPort,
    byte_size,
    host_port,
    integer,
    listing,
    network,
    number,
    path,
    secret,
    text,
)
from backendai.common.settings.fields import Check, section, setting, settings
from backendai.common.settings.load import BadSettings, check_settings, find_file, load_settings
from backendai.common.settings.render import render_reference, render_sample, render_toml
from backendai.common.settings.sections import (
    DbSettings,
    DebugSettings,
    EtcdSettings,
    LoggingSettings,
    RedisSettings,
)


@settings
class OwnSettings:
    """The daemon itself."""

    num_proc: int = setting(integer(1, 64), "Worker processes", example=1)
    heartbeat_timeout: float = setting(number(1, 600), "Silence", unit="seconds", default=30.0)
    state_dir: Path = setting(path(), "Where state is", default=Path("/var/lib/backendai"))
    key: str = setting(secret(), "A key", default="", env="OWN_KEY")
    names: tuple[str, ...] = setting(listing(text()), "Names", default=("a", "b"))


@settings
class Tree:
    """All of it."""

    manager: OwnSettings = section(OwnSettings)
    etcd: EtcdSettings = section(EtcdSettings)
    db: DbSettings = section(DbSettings)
    redis: RedisSettings = section(RedisSettings)
    logging: LoggingSettings = section(LoggingSettings)
    debug: DebugSettings = section(DebugSettings)


def mistakes_of(data: dict[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(BadSettings) as caught:
        check_settings(Tree, data, "x.toml", **options)
    for mistake in caught.value.facts["mistakes"]:
        assert f"x.toml: {mistake['key']}: {mistake['message']}" in caught.value.detail
    return {mistake["key"]: mistake["message"] for mistake in caught.value.facts["mistakes"]}


def test_defaults_fill_what_is_not_given() -> None:
    tree = check_settings(Tree, {"manager": {"num-proc": 2}}, "x.toml")
    assert tree.manager.num_proc == 2
    assert tree.manager.names == ("a", "b")
    assert tree.etcd.addr == HostPort("127.0.0.1", 2379)
    for field in ("num_proc", "names"):
        with pytest.raises(AttributeError):
            setattr(tree.manager, field, 3)


def test_every_mistake_is_told_at_once_with_its_key() -> None:
    found = mistakes_of(
        {
            "manager": {"num_proc": 2, "heartbeat-timeout": "soon", "names": ["ok", 3]},
            "etcd": {"addr": {"host": "h", "port": 99999}},
            "db": 7,
            "loging": {},
            "logging": {"pkg-ns": {"a": "LOUD"}},
        }
    )
    assert found["manager.num_proc"] == "is unknown; did you mean num-proc?"
    assert found["manager.num-proc"].startswith("is required: a whole number from 1 to 64")
    assert found["manager.heartbeat-timeout"] == "must be a number from 1 to 600"
    assert found["manager.names.1"] == "must be text, 1 to 255 characters"
    assert "1 to 65535" in found["etcd.addr"]
    assert found["logging.pkg-ns.a"].startswith('must be one of "DEBUG"')
    assert found["db"] == "must be a table"
    assert found["loging"] == "is unknown; did you mean logging?"
    assert len(found) == 8


def test_a_far_off_key_is_told_what_is_known() -> None:
    assert (
        "known are num-proc, heartbeat-timeout"
        in mistakes_of({"manager": {"zzz": 1}})["manager.zzz"]
    )


def test_the_environment_serves_secrets_only() -> None:
    data = {"manager": {"num-proc": 1}, "db": {"password": "from-the-file"}}
    environ = {"BACKEND_DB_PASSWORD": "from-the-environment", "OWN_KEY": "own-long-key"}
    tree = check_settings(Tree, data, "x.toml", environ=environ)
    assert (tree.db.password, tree.manager.key) == ("from-the-environment", "own-long-key")
    with pytest.raises(TypeError, match="only secrets"):
        setting(integer(1, 2), "n", env="N")


def test_a_secret_is_never_shown_in_a_mistake() -> None:
    with pytest.raises(BadSettings) as caught:
        check_settings(Tree, {"manager": {"num-proc": 1, "key": "canary\n"}}, "x.toml")
    assert "canary" not in caught.value.detail + str(caught.value.facts)


@pytest.mark.parametrize("word", ["insecure", "develove", "Password", "changeme", "short"])
def test_well_known_and_short_secrets_are_refused(word: str) -> None:
    assert "not well known" in mistakes_of({"manager": {"num-proc": 1, "key": word}})["manager.key"]


def test_a_secret_in_a_file_that_others_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text('[manager]\nnum-proc = 1\n[db]\npassword = "long-enough"\n')
    file.chmod(0o644)
    with pytest.raises(BadSettings, match="chmod 600"):
        load_settings(Tree, "manager", file, environ={})
    file.chmod(0o600)
    assert load_settings(Tree, "manager", file, environ={}).db.password == "long-enough"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_files_are_looked_for_from_near_to_far(home: Path) -> None:
    with pytest.raises(BadSettings, match="there is no manager"):
        load_settings(Tree, "manager", environ={})
    far, near = home / ".config/backend.ai/manager.toml", home / "work/manager.toml"
    far.parent.mkdir(parents=True)
    far.write_text("[manager]\nnum-proc = 5\n")
    assert load_settings(Tree, "manager", environ={}).manager.num_proc == 5
    near.write_text("[manager]\nnum-proc = 6\n")
    assert load_settings(Tree, "manager", environ={}).manager.num_proc == 6


def test_folders_that_are_shut_are_passed_over(home: Path) -> None:
    (home / "work").chmod(0)
    own = os.geteuid()
    try:
        # As `runuser -u backendai` is in root's home: nothing is shut to root.
        os.seteuid(own or 65534)
        with pytest.raises(BadSettings, match="there is no manager"):
            find_file("manager")
    finally:
        os.seteuid(own)


@pytest.mark.parametrize("content", [b"[manager\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_a_clear_fault(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    with pytest.raises(BadSettings, match=r"x\.toml is not TOML"):
        load_settings(Tree, "manager", file)
    with pytest.raises(BadSettings, match="No such file"):
        load_settings(Tree, "manager", tmp_path / "none.toml")


def test_the_sample_reads_back_as_the_defaults() -> None:
    sample = render_sample(Tree, "manager")
    tree = check_settings(Tree, tomllib.loads(sample), "sample")
    assert tree == check_settings(Tree, {"manager": {"num-proc": 1}}, "defaults")
    assert "# Required. Worker processes: a whole number from 1 to 64." in sample
    assert "[seconds]" in sample


def test_the_reference_names_every_key() -> None:
    page = render_reference(Tree, "manager")
    assert "| `num-proc` | required | a whole number from 1 to 64 | Worker processes. |" in page
    assert "## `[etcd]`" in page
    assert "`OWN_KEY`" in page


toml_values = st.recursive(
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8), toml_values, max_size=4
    )
)
def test_any_rendered_toml_reads_back(data: dict[str, Any]) -> None:
    assert tomllib.loads(render_toml(data)) == data


@pytest.mark.parametrize(
    ("check", "given_", "made"),
    [
        (byte_size(), "64M", 64 << 20),
        (byte_size(), "1g", 1 << 30),
        (byte_size(), "2 KiB", 2048),
        (byte_size(), 17, 17),
        (host_port(), "localhost:80", HostPort("localhost", 80)),
        (host_port(), "[::1]:80", HostPort("::1", 80)),
        (host_port(port_min=0), {"host": "0.0.0.0", "port": 0}, HostPort("0.0.0.0", 0)),
        (path(), "/a/b", Path("/a/b")),
        (network(), "10.1.0.0/16", "10.1.0.0/16"),
        (network(), "::1", "::1"),
        (number(0, 9), 3, 3.0),
        (secret(), "", ""),
    ],
)
def test_checks_make_the_type(check: Check, given_: Any, made: Any) -> None:
    assert check.trafaret.check(given_) == made


@pytest.mark.parametrize(
    ("key", "value"),
    [("num-proc", value) for value in (True, 0, 65, 1.5, "1", None, [1])]
    + [("heartbeat-timeout", value) for value in (True, 0, 601, "1", float("nan"))]
    + [("state-dir", value) for value in ("", 3, "a\0b")]
    + [("names", value) for value in ("a", [""], [3], {"a": 1})],
)
def test_checks_refuse_other_values(key: str, value: Any) -> None:
    assert any(
        found.startswith(f"manager.{key}") for found in mistakes_of({"manager": {key: value}})
    )


@pytest.mark.parametrize(
    "value",
    [
        *("", "host", "host:", ":80", "host:0", "host:65536", "a b:80", "-a:80", "h:８０", 80, {}),
        {"host": "h"},
        {"host": "h", "port": True},
        {"host": "h", "port": 1, "x": 1},
    ],
)
def test_an_address_needs_host_and_port(value: Any) -> None:
    assert "etcd.addr" in mistakes_of({"manager": {"num-proc": 1}, "etcd": {"addr": value}})


@pytest.mark.parametrize(
    "value", ["", "10.1", "10.0.0.0/33", "a.example.com", "10.0.0.0/x", 7, None]
)
def test_a_network_is_an_address_with_or_without_bits(value: Any) -> None:
    with pytest.raises(t.DataError, match="an address or a network"):
        network().trafaret.check(value)
