"""A release of the official client in an environment of its own, made once and cached."""

import shutil
import subprocess
from pathlib import Path

from backendai.halfstack.images import find_cache


def make_client(version: str, python: Path, *pins: str) -> Path:
    """Its program; `pins` are requirements that are installed with it."""
    folder = find_cache() / f"official-client-{version}"
    mark = folder / ".complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        install = [folder / "bin/python", "-m", "pip", "install", "-q"]
        subprocess.run([*install, f"backend.ai-client=={version}", *pins], check=True)
        mark.touch()
    return folder / "bin/backend.ai"
