"""The state directory: where it is, who may read it, how files in it change."""

import os
import stat
from pathlib import Path

import pytest

from backendai.halfstack.places import Layout, find_checkout, find_layout, replaced_file, write_file


def test_home_is_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAI_HOME", str(tmp_path / "here"))
    assert find_layout().root == tmp_path / "here"


def test_checkout_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAI_ROOT", raising=False)
    (tmp_path / "bai").touch()
    (tmp_path / "requirements.lock").touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_checkout(inner) == tmp_path


def test_sockets_fit_into_an_address(tmp_path: Path) -> None:
    deep = Layout(tmp_path / ("x" * 90))
    assert len(str(deep.run / "docker-containerd.sock.ttrpc")) < 108
    assert Layout(Path("/srv/a/.bai")).run == Path("/srv/a/.bai/run")


def test_instances_differ() -> None:
    assert Layout(Path("/a")).instance != Layout(Path("/b")).instance


def test_others_cannot_read_the_state(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    assert stat.S_IMODE(layout.root.stat().st_mode) == 0o700


def test_secrets_are_never_readable_by_others(tmp_path: Path) -> None:
    write_file(tmp_path / "f", "secret")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def _fail_half_way(path: Path) -> None:
    with replaced_file(path) as new:
        new.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        _fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", range(60, 120))
def test_the_longest_socket_of_the_engine_fits_an_address(length: int) -> None:
    root = Path("/" + "d" * (length - 1))
    longest = Layout(root).run / "docker" / "libnetwork" / "0123456789ab.sock"
    assert len(os.fsencode(longest)) < 108
