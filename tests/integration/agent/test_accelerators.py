"""Accelerators on a real agent: shared fractions, a device that gets sick, a bad plugin."""

import json
import os
import stat
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backendai.common.contracts.agent import AgentReport, DeviceReport, KernelRef, KernelState
from backendai.manager.agents.health import fault_of

from .conftest import Node, end_node, make_spec
from .speaking import say

DEVICES = """
[[device]]
id = "gpu-0"
slot = "cuda.shares"
model = "Mock 80G"
memory = "80g"
numa-node = 0
quantum = "0.1"
utilisation = 25.0
memory-used = "2g"
paths = ["{path}"]
"""
MORE = """
[[device]]
id = "npu-0"
slot = "mock.device"
"""
SICK = 'problem = "XID 79: it has fallen off the bus"\n'


@pytest.fixture
def device_file() -> Iterator[Path]:
    """A device of this node that no container has by itself: one that swallows what it is given."""
    path = Path(f"/dev/bai-mock-{uuid.uuid4().hex[:8]}")
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    path.chmod(0o666)
    yield path
    path.unlink()


@pytest.fixture
def mock_file(tmp_path: Path, device_file: Path) -> Path:
    path = tmp_path / "mock.toml"
    describe(path, device_file)
    return path


def describe(path: Path, device_file: Path, problem: str = "") -> None:
    path.write_text(DEVICES.format(path=device_file) + problem + MORE)


@pytest.fixture
async def accelerated(
    mode: str,
    engine_host: str,
    tmp_path: Path,
    image_dir: Path,
    bundle_dir: Path,
    mock_file: Path,
) -> AsyncIterator[Node]:
    """A running agent with mock devices; another plugin that it is told of is not installed."""
    options: dict[str, dict[str, object]] = {
        "accelerators": {"plugins": ["mock", "nosuch"], "mock": {"file": str(mock_file)}}
    }
    made = Node(tmp_path, mode, engine_host, image_dir, bundle_dir, options=options)
    made.start()
    try:
        await made.until(lambda report: report.engine_reachable)
        yield made
    finally:
        await end_node(made)


def slots(**amounts: str) -> dict[str, str]:
    named = {name.replace("_", "."): amount for name, amount in amounts.items()}
    return {"cpu": "0.5", "mem": str(256 * 2**20), **named}


def device(report: AgentReport, device_id: str) -> DeviceReport:
    return next(one for one in report.devices if one.device_id == device_id)


async def seen_inside(node: Node, ref: KernelRef) -> dict[str, str]:
    code = (
        "import glob, json, os\n"
        "names = ('CUDA_VISIBLE_DEVICES', 'MOCK_HOLDS', 'MOCK_FRACTIONS')\n"
        "found = {name: os.environ.get(name, '') for name in names}\n"
        "files = glob.glob('/dev/bai-mock-*')\n"
        "found['files'] = ','.join(files)\n"
        "found['written'] = str(sum(open(one, 'wb', 0).write(b'word') for one in files))\n"
        "print(json.dumps(found))\n"
    )
    seen: dict[str, str] = json.loads(await say(node, ref, code))
    return seen


async def test_two_kernels_share_a_device_and_a_third_is_refused(
    accelerated: Node, image: str, device_file: Path
) -> None:
    node = accelerated
    report = await node.observe()
    assert fault_of(report, node.agent_id) == ""
    assert (report.capacity["cuda.shares"], report.capacity["mock.device"]) == ("1", "1")
    assert report.plugins["mock"] == "1"
    first = await node.run(make_spec(image, slots=slots(cuda_shares="0.5")))
    second = await node.run(make_spec(image, slots=slots(cuda_shares="0.4")))
    assert await seen_inside(node, second) == {
        "CUDA_VISIBLE_DEVICES": "gpu-0",
        "MOCK_HOLDS": "gpu-0=0.4",
        "MOCK_FRACTIONS": "0.4",
        "files": str(device_file),
        "written": "4",
    }
    third = str(uuid.uuid4())
    await node.order(make_spec(image, slots=slots(cuda_shares="0.2")), third)
    refused = await node.kernel(third, KernelState.FAILED)
    assert "0.2 of cuda.shares asked, 0.1 free" in refused.detail
    assert refused.retriable
    shared = device(await node.observe(), "gpu-0")
    assert (shared.held, shared.amount, shared.kind) == ("0.9", "1", "count")
    assert (shared.utilisation_percent, shared.memory_used_bytes) == (25.0, 2 * 2**30)
    status, output = await node.command("resources", "-f", str(node.folder / "agent.toml"))
    assert status == 0
    (row,) = [line for line in output.splitlines() if line.split()[:1] == ["gpu-0"]]
    assert "0.9 of 1" in row
    # What one gives back, the next one gets; an agent that died has it from the labels.
    node.restart()
    await node.kernel(second.kernel_id, KernelState.RUNNING)
    await node.remove(first)
    again = await node.run(make_spec(image, slots=slots(cuda_shares="0.6")))
    assert (await node.kernel(again.kernel_id, KernelState.RUNNING)).devices == {
        "cuda.shares": ["gpu-0=0.6"]
    }


async def test_a_sick_device_is_fenced_alone(
    accelerated: Node, image: str, mock_file: Path, device_file: Path
) -> None:
    node = accelerated
    holder = await node.run(make_spec(image, slots=slots(cuda_shares="0.5")))
    describe(mock_file, device_file, SICK)
    report = await node.until(lambda report: bool(device(report, "gpu-0").problem))
    assert device(report, "gpu-0").problem.startswith("XID 79")
    assert device(report, "npu-0").problem == ""
    # What holds it stays, and is all that is left of its capacity.
    assert report.capacity["cuda.shares"] == "0.5"
    assert (await node.kernel(holder.kernel_id, KernelState.RUNNING)).reason == ""
    refused = str(uuid.uuid4())
    await node.order(make_spec(image, slots=slots(cuda_shares="0.1")), refused)
    failed = await node.kernel(refused, KernelState.FAILED)
    assert "0 free (sick: gpu-0)" in failed.detail
    other = await node.run(make_spec(image, slots=slots(mock_device="1")))
    seen = await seen_inside(node, other)
    assert (seen["MOCK_HOLDS"], seen["CUDA_VISIBLE_DEVICES"], seen["files"]) == ("npu-0", "", "")
    await node.remove(holder)
    await node.until(lambda report: report.capacity["cuda.shares"] == "0")
    describe(mock_file, device_file)
    await node.until(lambda report: report.capacity["cuda.shares"] == "1")
    await node.run(make_spec(image, slots=slots(cuda_shares="1")))


async def test_the_rest_of_a_node_works_without_its_accelerators(
    node: Node, image: str, tmp_path: Path
) -> None:
    node.options = {"accelerators": {"plugins": ["mock", "x"], "mock": {"file": "/nowhere.toml"}}}
    node.restart()
    report = await node.until(lambda report: report.engine_reachable)
    assert set(report.capacity) == {"cpu", "mem"}
    await node.run(make_spec(image))
    log = (tmp_path / "agent.log").read_text()
    for words in ("plugin.unknown plugin=x", "plugin.failed plugin=mock"):
        assert log.count(words) == 1
    status, output = await node.command("resources", "-f", str(tmp_path / "agent.toml"))
    assert status == 0
    assert "There are no devices." in output
