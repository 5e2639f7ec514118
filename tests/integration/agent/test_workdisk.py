"""Room for work files that is limited: kept to, kept over restarts, and nothing is left of it."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backendai.agent.faults import DiskRefused
from backendai.agent.scratch import WORK_DISK, Scratch
from backendai.agent.workdisk import attach_disk, detach_disk, find_obstacle
from backendai.common.contracts.agent import KernelRef, KernelState
from tests.running.waiting import until

from .conftest import MIB, Node, end_node, make_spec
from .speaking import say

SIZE = 32 * MIB
KERNEL = "7f9c24e8-3b12-4fef-91e0-3a7e0d1c2b3a"
FILL = """
import errno, os
try:
    with open("/home/work/big", "wb") as file:
        for _ in range(64):
            file.write(bytes(2**20))
            file.flush()
except OSError as error:
    print(errno.errorcode[error.errno], os.path.getsize("/home/work/big") // 2**20 in range(16, 32))
os.unlink("/home/work/big")
with open("/home/work/kept", "w") as file:
    file.write("mine")
print(sorted(os.listdir("/home/work")), os.stat("/home/work").st_uid == os.getuid())
"""


@pytest.fixture
async def limited(resting_node: Node) -> Node:
    resting_node.options = {"container": {"scratch-size": SIZE}}
    return resting_node


@pytest.fixture
async def small(tmp_path: Path, image_dir: Path, bundle_dir: Path) -> AsyncIterator[Node]:
    """The same of sandboxes alone."""
    node = Node(tmp_path, "process", "unix:///nowhere", image_dir, bundle_dir)
    node.options = {"container": {"scratch-size": SIZE}}
    yield node
    await end_node(node)


async def test_a_kernel_has_its_room_and_the_files_of_it_live_on(limited: Node, image: str) -> None:
    limited.start()
    ref = await limited.run(make_spec(image))
    said = await say(limited, ref, FILL)
    assert said.splitlines()[0] == "ENOSPC True"
    assert "'kept'" in said.splitlines()[1]
    assert "lost+found" not in said
    assert said.splitlines()[1].endswith("True")
    assert len(traces(limited.scratch)) == 2

    limited.restart()
    assert await say(limited, ref, "print(open('/home/work/kept').read())") == "mine\n"
    await limited.order(make_spec(image), ref.kernel_id, 2)
    await limited.until(lambda report: report.kernels[0].generation == 2)
    await limited.kernel(ref.kernel_id, KernelState.RUNNING)
    again = KernelRef(kernel_id=ref.kernel_id, generation=2)
    assert await say(limited, again, "print(open('/home/work/kept').read())") == "mine\n"
    await limited.remove(again)
    await_no_trace(limited.scratch)


@pytest.mark.parametrize("point", ["after_prepare", "before_put_aside"])
async def test_an_agent_that_dies_anywhere_leaves_nothing(small: Node, point: str) -> None:
    small.start(failpoints=f"agent.scratch.{point}:kill")
    await small.order(make_spec("busybox"), KERNEL)
    if point != "after_prepare":
        await small.kernel(KERNEL, KernelState.RUNNING)
        await small.order(None, KERNEL)
    assert await small.end_of_process() != 0
    small.start()
    await small.order(None, KERNEL)
    await small.kernel(KERNEL, KernelState.GONE)
    await_no_trace(small.scratch)


async def test_a_purge_takes_disks_too(small: Node) -> None:
    small.start()
    await small.run(make_spec("busybox"))
    assert traces(small.scratch)
    small.end()
    code, said = await small.command("purge", "-f", str(small.folder / "agent.toml"))
    assert code == 0, said
    await_no_trace(small.scratch)


def test_a_disk_is_made_once_and_attached_whenever_it_is_not(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 1000, 1000, SIZE)
    try:
        scratch.make_work(KERNEL)
        scratch.make_work(KERNEL)
        (scratch.work_dir(KERNEL) / "file").write_text("x")
        detach_disk(scratch.work_dir(KERNEL))
        assert list(scratch.work_dir(KERNEL).iterdir()) == []
        assert scratch.work_dir(KERNEL).stat().st_mode & 0o777 == 0
        # Also by an agent that gives no limits any more.
        Scratch(tmp_path, 1000, 1000).make_work(KERNEL)
        assert (scratch.work_dir(KERNEL) / "file").read_text() == "x"
        assert (tmp_path / KERNEL / WORK_DISK).stat().st_blocks * 512 < SIZE // 4
    finally:
        scratch.put_aside(KERNEL)
    assert scratch.sweep() == 1
    await_no_trace(tmp_path)


def test_work_files_without_a_limit_stay_as_they_are(tmp_path: Path) -> None:
    Scratch(tmp_path, 1000, 1000).make_work(KERNEL)
    Scratch(tmp_path, 1000, 1000, SIZE).make_work(KERNEL)
    assert traces(tmp_path) == []


def test_what_stands_in_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_obstacle(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DiskRefused, match=r"mkfs\.ext4 failed"):
        attach_disk(tmp_path / "tiny", tmp_path / "work", 10, 0, 0)
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_obstacle(tmp_path) == "there is no mkfs.ext4 on this node"


def await_no_trace(root: Path) -> None:
    """A device goes when the last mount namespace that knew it is gone: a moment after the mount,
    where containers of others have just begun or ended."""
    until(lambda: not traces(root), f"no mount and no loop device of {root}")


def traces(root: Path) -> list[str]:
    """Mounts and loop devices of what lies below `root`."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    loops = subprocess.run(["losetup", "-a"], check=True, capture_output=True, text=True).stdout
    return [line for line in (*mounts, *loops.splitlines()) if str(root) in line]
