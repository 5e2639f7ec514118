"""The bundle as it is used: at /opt/kernel, in an image with nothing in it or with a Python."""

import concurrent.futures
from pathlib import Path

import pytest

from backendai.kernel import bundle as building
from backendai.kernel.bundle import Bundle, BundleError, build_bundle
from backendai.kernel.wire import BatchOptions, Hello

from .conftest import Kernel, StartKernel, text_of

BUNDLE_BYTES_MAX = 90_000_000


@pytest.fixture(params=["empty", "usr"])
async def boxed(request: pytest.FixtureRequest, start_kernel: StartKernel) -> Kernel:
    return await start_kernel(request.param)


async def test_the_runner_works_in_any_image(boxed: Kernel) -> None:
    code = "import sqlite3, ctypes, json\nprint(6 * 7)\ninput('? ')"
    first = await boxed.begin(code)
    assert (first.status, text_of([first])) == ("waiting-input", "42\n? ")
    last = await boxed.begin("yes", mode="input", run_id=first.run_id)
    assert (last.status, text_of([last])) == ("finished", "'yes'\n")
    options = BatchOptions(exec="echo hi; ls /home/work; exit 5")
    replies = await boxed.run("", mode="batch", options=options)
    assert (text_of(replies), replies[-1].exit_code) == ("hi\n", 5)


async def test_the_users_python_is_the_images_own(start_kernel: StartKernel) -> None:
    empty, usr = await start_kernel("empty"), await start_kernel("usr")
    assert (await empty.ask(Hello())).python == ""
    assert (await usr.ask(Hello())).python == "/bin/python3"


async def test_user_code_sees_nothing_of_the_bundle(start_kernel: StartKernel) -> None:
    kernel = await start_kernel("usr")
    code = """
import os, sys
names = [name for name in os.environ if name.startswith(("LD_", "PYTHON", "USER_LD"))]
maps = open("/proc/self/maps").read()
(names, any("/opt/kernel" in path for path in sys.path), maps.count("/opt/kernel"))
"""
    assert text_of(await kernel.run(code)) == "([], False, 0)\n"


async def test_a_batch_session_runs_in_an_empty_image(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(
        "empty", ready=False, session_type="batch", startup_command="echo $HOME; exit 3"
    )
    assert await kernel.wait_for_exit() == 3
    assert kernel.read_exit().exit_code == 3
    assert kernel.read_log() == "/home/work\n"


async def test_what_the_image_sets_for_its_own_loader_does_not_reach_the_runner(
    start_kernel: StartKernel,
) -> None:
    kernel = await start_kernel("usr", variables={"LD_PRELOAD": "/no.so", "PYTHONHOME": "/no"})
    code = "import os\nos.environ['LD_PRELOAD']"
    maps = (await kernel.run("", mode="batch", options=BatchOptions(exec="echo $LD_PRELOAD")))[-1]
    assert text_of([maps]) == "/no.so\n"
    assert (await kernel.ask(Hello())).python == ""
    assert "KeyError" in text_of(await kernel.run(code), "stderr")


def test_the_bundle_is_small_and_holds_compiled_code(bundle: Bundle) -> None:
    files = [path for path in bundle.path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < BUNDLE_BYTES_MAX
    site = bundle.path / "lib" / "runner-site" / "backendai" / "kernel"
    assert list((site / "runner" / "__pycache__").glob("main.*.pyc"))
    assert not (site / "peer.py").exists()
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in files)


def test_builders_at_the_same_time_make_one_bundle(tmp_path: Path) -> None:
    said: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: build_bundle(tmp_path, progress=said.append), range(2)))
    assert made[0] == made[1]
    assert len([line for line in said if "built in" in line]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", made[0].digest]


def test_a_failed_build_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "SMOKE_TEST", "import no_such_module")
    with pytest.raises(BundleError, match="no_such_module"):
        build_bundle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
