"""Wheels of a source tree: one for each distribution, the same bytes each time.

The GUI is built first, so that the webserver's wheel takes it as it is and needs no Node.js.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from .faults import SetupFault
from .gui import TARGET, is_built

PREFIX: Final = "backendai_"
_LAST_CHARS: Final = 1500
# What tells the build of the webserver's wheel where its pages are.
_PAGES: Final = "BACKENDAI_PAGES"
# The first second that a zip archive can tell: what is in a wheel has no other time.
_ZIP_EPOCH: Final = "315532800"


def build_wheels(checkout: Path, target: Path) -> list[Path]:
    """The new wheels in `target`, in order of name; older ones of ours are gone. Raises
    SetupFault."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob(f"{PREFIX}*.whl"):
        old.unlink()
    uv = Path(sys.executable).with_name("uv")
    argv = [str(uv), "build", "--quiet", "--wheel", "--all-packages", "--out-dir", str(target)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": _ZIP_EPOCH}
    if (checkout / TARGET / "index.html").is_file() and is_built(checkout):
        environ[_PAGES] = str(checkout / TARGET)
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, cwd=checkout, env=environ
    )
    if done.returncode != 0:
        raise SetupFault(
            f"the wheels cannot be built: {done.stderr.strip()[-_LAST_CHARS:]}",
            "correct that and run `./bai dist` again; the package index has to be reachable",
        )
    # uv marks the folder as its own.
    (target / ".gitignore").unlink(missing_ok=True)
    return sorted(target.glob(f"{PREFIX}*.whl"))
