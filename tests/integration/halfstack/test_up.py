"""`up` as a person runs it: from nothing, again, after kills, and down without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backendai.halfstack.network import find_network
from backendai.halfstack.places import Layout

from .traces import find_traces

_PROGRAM = Path(sys.executable).with_name("backendai")
_REPAIR_SECONDS = 30


def _run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND")}
    environ = {**kept, "BAI_HOME": str(home), "BAI_CONFIG": str(home) + ".toml", **variables}
    return subprocess.run(
        [_PROGRAM, *words], check=False, capture_output=True, text=True, env=environ, timeout=280
    )


def _read_status(home: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(_run(home, "status", "--json").stdout)
    return report


def _load_variables(path: Path) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in path.read_text().splitlines()]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(scope="module", params=["docker", "process"])
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A cluster brought up from nothing, once with each backend."""
    place = tmp_path_factory.mktemp(request.param) / "state"
    Path(f"{place}.toml").write_text(f'[engine]\nbackend = "{request.param}"\n')
    done = _run(place, "up")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "6 * 7 = 42" in done.stdout
        yield place
    finally:
        network = find_network(Layout(place))
        done = _run(place, "down", "--purge")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not place.exists()
        if network is not None:
            assert find_traces(Layout(place), network) == []


@pytest.mark.timeout(600)
def test_status_has_exactly_what_is_promised(home: Path) -> None:
    report = _read_status(home)
    assert set(report) == {"healthy", "daemons"}
    assert report["healthy"] is True
    assert all(
        set(row) == {"name", "pid", "healthy", "address", "monitoring"} for row in report["daemons"]
    )
    names = {row["name"] for row in report["daemons"]}
    assert names >= {"supervisor", "postgres", "valkey", "etcd", "manager", "agent", "storage"}


def test_a_second_up_changes_nothing(home: Path) -> None:
    before = _read_status(home)
    assert _run(home, "up").returncode == 0
    assert _read_status(home) == before


def test_pid_files_name_the_daemons(home: Path) -> None:
    pids = {row["name"]: row["pid"] for row in _read_status(home)["daemons"]}
    for name in ("manager", "agent"):
        assert (Layout(home).run / f"{name}.pid").read_text() == f"{pids[name]}\n"


def test_nothing_is_written_into_the_working_directory(home: Path) -> None:
    """Daemons run in `home`: what is there is what `up` put there."""
    assert (home / "data" / "manager.config.json").exists()
    assert not (home / "manager.config.json").exists()


def test_secrets_are_the_owners(home: Path) -> None:
    for path in [home / "env-admin.sh", home / "env-user.sh", *(home / "secrets").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o077 == 0


def test_the_user_can_run_code(home: Path) -> None:
    done = _run(home, "run", "-c", "print(6 * 7)", **_load_variables(home / "env-user.sh"))
    assert (done.returncode, done.stdout.strip()) == (0, "42"), done.stderr


def test_everything_killed_is_green_again_without_help(home: Path) -> None:
    before = {row["name"]: row["pid"] for row in _read_status(home)["daemons"]}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _REPAIR_SECONDS
    report: dict[str, Any] = {"healthy": False}
    while not report["healthy"] and time.monotonic() < deadline:
        report = _read_status(home)
    assert report["healthy"], report
    after = {row["name"]: row["pid"] for row in report["daemons"]}
    assert set(after) == set(before)
    assert all(after[name] != before[name] for name in before)


def test_down_stops_and_up_repairs(home: Path) -> None:
    assert _run(home, "down").returncode == 0
    assert _run(home, "status").returncode == 1
    assert _run(home, "up").returncode == 0
    assert _read_status(home)["healthy"] is True
