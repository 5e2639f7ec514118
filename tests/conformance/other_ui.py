"""Backend.AI's own web UI, served by a webserver of ours beside that of the stack.

Its files come out of the wheel of its webserver, and are cached.
"""

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from backendai.common.settings.render import render_toml
from backendai.halfstack.images import find_cache
from backendai.halfstack.places import write_file
from tests.running.fixtures import find_port
from tests.running.stack import COMMAND, Stack
from tests.running.waiting import until

WHEEL: Final = "backend.ai-webserver==23.9.10"
_PAGES: Final = "ai/backend/web/static/"


def fetch_pages() -> Path:
    """The folder with its `index.html`."""
    folder = find_cache() / f"official-webui-{WHEEL.rpartition('=')[2]}"
    mark = folder / ".complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
        subprocess.run([*download, WHEEL], check=True)
        (wheel,) = folder.glob("*.whl")
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(_PAGES)]
            archive.extractall(folder, names)
        wheel.unlink()
        mark.touch()
    return folder / _PAGES


@contextmanager
def serving_pages(stack: Stack, folder: Path) -> Iterator[str]:
    """The address where they are served; `folder` is for the files of that webserver."""
    port = find_port()
    settings = stack.settings("webserver")
    # The stack's own one is watched there.
    settings.pop("monitoring")
    settings["webserver"] |= {
        "service-addr": {"host": "127.0.0.1", "port": port},
        "static-path": str(fetch_pages()),
        "pid-file": str(folder / "webserver.pid"),
    }
    file = folder / "webserver.toml"
    write_file(file, render_toml(settings))
    address = f"http://127.0.0.1:{port}"
    with (folder / "webserver.log").open("wb") as log:
        argv = [COMMAND, "web", "start-server", "-f", file]
        process = subprocess.Popen(argv, env=stack.environ, stdout=log, stderr=log)
    try:
        until(lambda: urllib.request.urlopen(f"{address}/health", timeout=5).status == 200, address)
        yield address
    finally:
        process.terminate()
        code = process.wait()
    assert code == 0, code
