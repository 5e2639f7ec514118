"""A newer Python runs the client: the package is importable and its command answers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running.stack import ROOT, Stack, run

NEWEST = "3.13"


def find_python() -> str | None:
    """A working interpreter; version managers leave names that only complain."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    managed = [str(path) for path in root.glob(f"versions/{NEWEST}*/bin/python{NEWEST}")]
    named = shutil.which(f"python{NEWEST}")
    return next((path for path in [named, *managed] if path and answers(path)), None)


def answers(python: str) -> bool:
    asked = subprocess.run([python, "-c", "pass"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = find_python()
    if python is None:
        pytest.skip(f"no Python {NEWEST} on this machine")
    folder = tmp_path_factory.mktemp("newer") / "venv"
    subprocess.run([python, "-m", "venv", folder], check=True)
    sources = [str(ROOT / "src/common"), str(ROOT / "src/client")]
    argv = [str(folder / "bin/pip"), "install", "-q", *sources]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin/backendai"


def test_the_sdk_is_importable(program: Path) -> None:
    argv = [str(program.with_name("python")), "-c", "import backendai.client; print('imported')"]
    done = run(argv, {})
    assert done.out == "imported\n", done.both


def test_the_command_runs_code(stack: Stack, program: Path) -> None:
    environ = stack.environ | stack.credentials()
    done = run([str(program), "run", "-c", "print(6 * 7)"], environ)
    assert done.code == 0, done.both
    assert "42" in done.out
