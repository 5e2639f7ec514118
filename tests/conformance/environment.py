"""A release of the official client in an environment of its own, made once and cached."""

import shutil
import subprocess
import sys
from pathlib import Path

from backendai.halfstack.images import find_cache
from backendai.halfstack.quality import find_python
from tests.conformance.releases import Release


def make_client(release: Release) -> Path:
    """Its program. Raises LookupError where the Python that it wants is not here."""
    folder = find_cache() / f"official-client-{release.version}"
    mark = folder / ".complete"
    if not mark.exists():
        python = find_python(release.python) if release.python else Path(sys.executable)
        if python is None:
            raise LookupError(f"{release.version} needs Python {release.python}; none is here")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        install = [folder / "bin/python", "-m", "pip", "install", "-q"]
        wanted = f"backend.ai-client=={release.version}"
        subprocess.run([*install, wanted, *release.pins], check=True)
        mark.touch()
    return folder / "bin/backend.ai"
