"""The script `bai` in a copy of the tree: an environment from nothing, then hardly any work."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `git clone` would give of the parts that the environment is made from."""
    place = tmp_path_factory.mktemp("checkout") / "tree"
    place.mkdir()
    for name in ("bai", "pyproject.toml", "requirements.lock"):
        shutil.copy2(_ROOT / name, place / name)
    # The wheel of the halfstack brings the recipes of images.
    for folder in (*_list_members(), "images"):
        ignored = shutil.ignore_patterns(
            "__pycache__", "*.egg-info", "dist", "build", "node_modules", "static"
        )
        shutil.copytree(_ROOT / folder, place / folder, ignore=ignored)
    return place


def _list_members() -> list[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    return list(project["tool"]["uv"]["workspace"]["members"])


def _run(
    checkout: Path, *words: str, python: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BAI_")}
    environ.pop("VIRTUAL_ENV", None)
    return subprocess.run(
        [*([python] if python else []), checkout / "bai", *words],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
        cwd="/",
        timeout=280,
    )


def test_the_environment_is_made_once(checkout: Path) -> None:
    first = _run(checkout, "--help")
    assert first.returncode == 0, first.stderr
    assert "locked packages" in first.stderr
    assert " up " in first.stdout
    second = _run(checkout, "--help")
    assert (second.returncode, second.stderr) == (0, "")


def test_a_half_made_environment_is_made_again(checkout: Path) -> None:
    assert _run(checkout, "--help").returncode == 0
    (checkout / ".venv" / ".bai-making").touch()
    shutil.rmtree(checkout / ".venv" / "bin")
    again = _run(checkout, "--help")
    assert again.returncode == 0, again.stderr
    assert "virtual environment" in again.stderr


def test_an_interrupted_update_is_completed_in_place(checkout: Path) -> None:
    assert _run(checkout, "--help").returncode == 0
    (checkout / ".venv" / ".bai-making").touch()
    again = _run(checkout, "--help")
    assert again.returncode == 0, again.stderr
    assert "virtual environment" not in again.stderr


def test_an_activated_environment_makes_itself_again(checkout: Path) -> None:
    assert _run(checkout, "--help").returncode == 0
    shutil.rmtree(checkout / ".venv" / "lib")
    (checkout / ".venv" / ".bai-making").touch()
    again = _run(checkout, "--help", python=checkout / ".venv" / "bin" / "python3")
    assert again.returncode == 0, again.stderr


def test_it_works_on_its_own_state(checkout: Path) -> None:
    done = _run(checkout, "status", "--json")
    assert done.returncode == 1
    assert '"daemons": ' in done.stdout


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    assert _run(checkout, "--help").returncode == 0
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "locked packages" in _run(checkout, "--help").stderr


def test_a_cluster_is_shown_and_ended_by_the_environment_that_started_it(checkout: Path) -> None:
    assert _run(checkout, "--help").returncode == 0
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed, and the package index may be away\n")
    assert "environment" not in _run(checkout, "status").stderr
    assert "nothing runs" in _run(checkout, "down").stdout


def test_members_of_the_workspace_are_all_installed() -> None:
    script = (_ROOT / "bai").read_text()
    for folder in _list_members():
        assert f'"{folder}"' in script
