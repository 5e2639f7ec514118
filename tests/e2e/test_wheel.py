"""The webserver's wheel brings the browser's pages; an installation out of sources builds none."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

# Asks a webserver that is installed below the working directory for a page and all it names.
_ASK = """
import asyncio, pathlib, re, sys
from aiohttp import ClientSession, web
from backendai.webserver.app import OWN_PAGES
from backendai.webserver.pages.files import Pages

async def main():
    assert OWN_PAGES.is_relative_to(pathlib.Path.cwd()), OWN_PAGES
    app = web.Application()
    app.router.add_routes(Pages(OWN_PAGES, (), is_own=True).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    async with ClientSession(f"http://{host}:{port}") as session:
        async with session.get("/sessions") as answer:
            page = await answer.text()
            assert answer.status == 200, page
        named = re.findall(r'(?:src|href)="(/[^"]+)"', page)
        for path in named:
            async with session.get(path) as answer:
                assert answer.status == 200, path
    await runner.cleanup()
    print(len(named))

asyncio.run(main())
"""


def uv(*argv: str) -> subprocess.CompletedProcess[str]:
    # As ./bai passes on what tells pip of a network of its own.
    told = {"SSL_CERT_FILE": "PIP_CERT", "UV_DEFAULT_INDEX": "PIP_INDEX_URL"}
    environ = {
        new: os.environ[old] for new, old in told.items() if os.environ.get(old)
    } | os.environ
    program = str(Path(sys.prefix, "bin/uv"))
    return subprocess.run(
        [program, *argv], env=environ, capture_output=True, text=True, check=False
    )


@pytest.fixture
def without_pages(tmp_path: Path) -> Path:
    """The webserver's sources, of which no page can be built."""
    folder = tmp_path / "webserver"
    left_out = shutil.ignore_patterns("ui", "static", "__pycache__")
    shutil.copytree(ROOT / "webserver", folder, ignore=left_out)
    shutil.copytree(ROOT / "systemd", tmp_path / "systemd")
    return folder


def test_a_wheel_serves_the_pages_that_it_brings(tmp_path: Path) -> None:
    built = uv("build", "--wheel", str(ROOT / "webserver"), "-o", str(tmp_path / "dist"))
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    home = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    asked = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert int(asked.stdout) >= 3


def test_an_editable_installation_builds_no_pages(without_pages: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "packages")
    done = uv("pip", "install", "--no-deps", "--target", target, "-e", str(without_pages))
    assert done.returncode == 0, done.stderr
    # What shows that it would have failed if it had tried.
    built = uv("build", "--wheel", str(without_pages), "-o", str(tmp_path / "dist"))
    assert built.returncode != 0
