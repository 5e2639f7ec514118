"""What goes wrong is told in one message with the fix, and leaves nothing half made."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout
from backendai.halfstack.postgres import prepare_postgres

_PROGRAM = Path(sys.executable).with_name("backendai")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(place)]
    subprocess.run(argv, check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _run(
    home: Path, *words: str, config: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    file = home.parent / "bai.toml"
    file.write_text(config)
    environ = {**os.environ, "BAI_HOME": str(home), "BAI_CONFIG": str(file), **variables}
    return subprocess.run(
        [_PROGRAM, *words], check=False, capture_output=True, text=True, env=environ
    )


def _assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "fix: " in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_full_disk_is_told_before_anything_is_made(full_disk: Path) -> None:
    done = _run(full_disk / "state", "up", "--no-install")
    _assert_told(done, "disk", "GiB free", "free some disk space")
    assert not (full_disk / "state").exists()


def test_a_disk_that_fills_up_leaves_no_half_database(full_disk: Path) -> None:
    layout = Layout(full_disk / "state")
    layout.make()
    with pytest.raises(SetupFault) as caught:
        prepare_postgres(layout, "password")
    assert "No space left" in caught.value.problem
    assert "free some disk space" in caught.value.fix
    assert list(layout.data.iterdir()) == []
    assert list(layout.secrets.iterdir()) == []


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = _run(tmp_path / "s", "up", "--no-install", config=f"[manager]\nport = {port}\n")
    _assert_told(done, str(port), "bai.toml")
    assert not (tmp_path / "s").exists()


def test_bad_settings_are_told_all_at_once(tmp_path: Path) -> None:
    done = _run(tmp_path / "s", "up", config='[manager]\nport = "x"\n[engin]\n')
    _assert_told(done, "manager.port", "engin")


def test_a_docker_that_is_away_is_told(tmp_path: Path) -> None:
    config = f'[engine]\ndocker-host = "unix://{tmp_path}/none.sock"\n'
    done = _run(tmp_path / "s", "up", "--no-install", config=config)
    try:
        _assert_told(done, "none.sock", "does not answer", "docker-host")
    finally:
        _run(tmp_path / "s", "down", "--purge")


def test_an_unknown_kind_of_tests_is_told(tmp_path: Path) -> None:
    _assert_told(_run(tmp_path / "s", "test", "browser"), "browser", "unit")


def test_status_of_nothing_is_not_healthy(tmp_path: Path) -> None:
    done = _run(tmp_path / "s", "status", "--json")
    assert done.returncode == 1
    assert '"healthy": false' in done.stdout


def test_a_file_in_the_place_of_the_state_directory_is_told(tmp_path: Path) -> None:
    place = tmp_path / "s"
    place.touch()
    _assert_told(_run(place, "up", "--no-install"), str(place), "BAI_HOME")
