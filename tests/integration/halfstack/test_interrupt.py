"""Ctrl-C during `up` ends it soon, whatever step is under way, and leaves nothing half made."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from backendai.halfstack.errand import run_errand
from backendai.halfstack.faults import SetupFault

_PROGRAM = Path(sys.executable).with_name("backendai")
_END_SECONDS_MAX = 10.0
_BEGIN_SECONDS_MAX = 90.0


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """An instance with an empty cache: everything has to be made."""
    config = tmp_path / "bai.toml"
    config.write_text('[engine]\nbackend = "process"\n')
    for name in ("cache", "tmp"):
        (tmp_path / name).mkdir()
    own = {"HOME": "state", "CONFIG": "bai.toml", "CACHE": "cache"}
    made = {**os.environ, **{f"BAI_{key}": str(tmp_path / name) for key, name in own.items()}}
    made["TMPDIR"] = str(tmp_path / "tmp")
    yield made
    subprocess.run([_PROGRAM, "down", "--purge"], check=True, capture_output=True, env=made)


def _until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _interrupt_when(environ: Mapping[str, str], condition: Callable[[], object]) -> float:
    """Seconds from the interruption of a new `up` to its end."""
    up = subprocess.Popen(
        [_PROGRAM, "up", "--no-install"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        _until(lambda: condition() or up.poll() is not None, _BEGIN_SECONDS_MAX, "it never began")
        assert up.poll() is None, up.communicate()[0]
        began = time.monotonic()
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=60)
        seconds = time.monotonic() - began
    finally:
        up.kill()
        up.wait()
    assert up.returncode == 130, said
    assert "run the same command again" in said
    assert "Traceback" not in said
    return seconds


def _list_files(place: Path) -> set[str]:
    return {path.name for path in place.rglob("*") if path.is_file()}


def test_while_an_image_is_made(environ: Mapping[str, str], tmp_path: Path) -> None:
    work = tmp_path / "tmp"
    seconds = _interrupt_when(environ, lambda: [*work.glob("bai-image-*/mmdebstrap.*/usr")])
    assert seconds < _END_SECONDS_MAX
    assert [*work.iterdir()] == []
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(tmp_path) not in mounts
    programs = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    left = [p.info["cmdline"] for p in programs if str(work) in " ".join(p.info["cmdline"])]
    assert left == []
    assert _list_files(tmp_path / "cache" / "images") - {".lock", "mmdebstrap.log"} <= {
        name for name in _list_files(tmp_path / "cache" / "images") if name.startswith("busybox")
    }


def test_while_the_bundle_is_built(environ: Mapping[str, str], tmp_path: Path) -> None:
    bundles = tmp_path / "cache" / "bundles"
    seconds = _interrupt_when(environ, lambda: [*bundles.glob(".building-*/bin")])
    assert seconds < _END_SECONDS_MAX
    assert [path.name for path in bundles.iterdir()] == [".lock"]


async def test_an_errand_that_fails_tells_what_to_do() -> None:
    with pytest.raises(SetupFault, match="does not answer"):
        await run_errand("images", _images("unix:///nowhere/docker.sock"), lambda note: None)


def _images(docker_host: str) -> Mapping[str, object]:
    return {
        "root": "/nowhere",
        "backend": "docker",
        "docker_host": docker_host,
        "pulled": {"bai/busybox:latest": "example/none"},
    }
