"""The official client, unmodified, in an environment of its own that is made once and cached."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from backendai.halfstack.images import find_cache
from tests.conformance.official import Official
from tests.running.stack import Stack

VERSION: Final = "23.9.10"
# This release reads a private attribute that later releases of yarl do not have.
YARL: Final = "1.9.4"


@pytest.fixture(scope="session")
def official_program() -> Path:
    folder = find_cache() / f"official-client-{VERSION}"
    program = folder / "bin/backend.ai"
    mark = folder / ".complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        wanted = [f"backend.ai-client=={VERSION}", f"yarl=={YARL}"]
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", *wanted], check=True)
        mark.touch()
    return program


@pytest.fixture
def official(official_program: Path, stack: Stack, tmp_path: Path) -> Official:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    home = tmp_path / "home"
    folder = tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    environ = kept | {"HOME": str(home), "COLUMNS": "200"} | stack.credentials()
    return Official(official_program, folder, environ)
