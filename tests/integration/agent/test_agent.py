"""A whole agent, asked over RPC as a manager asks it, on each backend."""

import asyncio
import contextlib
import os
import signal
import time
import uuid
from pathlib import Path

import docker
import msgspec
import pytest

from backendai.agent.faults import KernelNotRunning, StaleGeneration
from backendai.common.contracts.agent import (
    COMPLETE,
    DOWNLOAD,
    ENSURE,
    INTERRUPT,
    LIST_FILES,
    LOGS,
    OBSERVE,
    UPLOAD,
    Complete,
    Desired,
    DownloadFile,
    EnsureKernel,
    HomeFile,
    KernelRef,
    KernelState,
    ListFiles,
    Observe,
    ReadLogs,
    UploadFile,
)
from backendai.common.enums import Reason
from backendai.common.faults import AgentInvalidInput, AgentTimeout, Fault, KernelNotFound
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import generate_keypair
from backendai.kernel.wire import SOCKET_NAME

from .conftest import MIB, Node, make_spec
from .speaking import execute, say

# Who may ask


async def test_a_manager_without_a_key_on_the_list_is_not_answered(node: Node) -> None:
    stranger = RpcPeer(f"tcp://127.0.0.1:{node.port}", node.keys.public, generate_keypair())
    with pytest.raises(AgentTimeout):
        await stranger.ask(OBSERVE, Observe(), timeout_seconds=1.0)
    await stranger.close()


async def test_a_manager_that_expects_another_agent_is_not_answered(node: Node) -> None:
    other = generate_keypair().public
    mistaken = RpcPeer(f"tcp://127.0.0.1:{node.port}", other, node.manager_keys)
    with pytest.raises(AgentTimeout):
        await mistaken.ask(OBSERVE, Observe(), timeout_seconds=1.0)
    await mistaken.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel_id": "../../etc"}, "no kernel id"),
        ({"generation": 0}, "generation 0"),
        ({"spec": None}, "specification"),
        ({"grace_seconds": -1.0}, "grace_seconds"),
    ],
)
async def test_a_bad_order_is_refused_with_words(
    node: Node, image: str, changes: dict[str, object], words: str
) -> None:
    order = EnsureKernel(
        kernel_id=str(uuid.uuid4()), generation=1, desired=Desired.RUNNING, spec=make_spec(image)
    )
    peer = await node.connect()
    with pytest.raises(AgentInvalidInput, match=words):
        await peer.ask(ENSURE, msgspec.structs.replace(order, **changes))
    assert (await node.observe()).kernels == []


async def test_a_kernel_of_nobody_is_not_found(node: Node) -> None:
    peer = await node.connect()
    ref = KernelRef(kernel_id=str(uuid.uuid4()), generation=1)
    for call, request in (
        (INTERRUPT, ref),
        (LIST_FILES, ListFiles(kernel=ref)),
        (LOGS, ReadLogs(kernel=ref)),
    ):
        with pytest.raises(KernelNotFound):
            await peer.ask(call, request)


# The life of a kernel


async def test_code_runs_in_a_kernel_as_its_user(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image, environ={"COLOUR": "green", "HOME": "/root"}))
    code = "import os; print(6 * 7, os.getuid(), os.environ['COLOUR'], os.environ['HOME'])"
    assert await say(node, ref, code) == "42 1000 green /home/work\n"
    assert await say(node, ref, "x = 41") == ""
    assert await say(node, ref, "print(x + 1)") == "42\n"
    gone = await node.remove(ref, reason="user-requested")
    assert gone.reason == Reason.USER_REQUESTED
    assert not (node.scratch / ref.kernel_id).exists()


async def test_logs_stay_after_the_end(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    await say(node, ref, "print('to be kept')")
    peer = await node.connect()
    assert b"to be kept" in (await peer.ask(LOGS, ReadLogs(kernel=ref))).data
    await node.remove(ref)
    assert b"to be kept" in (await peer.ask(LOGS, ReadLogs(kernel=ref))).data
    tail = await peer.ask(LOGS, ReadLogs(kernel=ref, bytes_max=5))
    assert tail.data == b"kept\n"
    assert tail.truncated


async def test_a_log_folder_made_a_trap_shows_nothing_of_the_host(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    code = "import os; os.rename('/run/backendai/log', '/run/backendai/x'); "
    await say(node, ref, code + "os.symlink('/etc', '/run/backendai/log')")
    run_dir = node.scratch / ref.kernel_id / "run.1"
    await say(node, ref, "os.symlink('passwd', '/home/work/console.log')")
    assert (run_dir / "log").is_symlink()
    peer = await node.connect()
    assert (await peer.ask(LOGS, ReadLogs(kernel=ref))).data == b""


async def test_files_go_in_and_out(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    peer = await node.connect()
    for offset, data, last in ((0, b"one ", False), (4, b"two", True)):
        upload = UploadFile(kernel=ref, path="a/b.txt", offset=offset, data=data, last=last)
        await peer.ask(UPLOAD, upload)
    assert await say(node, ref, "print(open('a/b.txt').read())") == "one two\n"
    listed = await peer.ask(LIST_FILES, ListFiles(kernel=ref, path="a"))
    assert [one.filename for one in listed.files] == ["b.txt"]
    chunk = await peer.ask(DOWNLOAD, DownloadFile(kernel=ref, path="a/b.txt"))
    assert b"one two" in chunk.data
    assert chunk.last
    with pytest.raises(Fault):
        await peer.ask(DOWNLOAD, DownloadFile(kernel=ref, path="../../etc/passwd"))


async def test_completions_and_interrupts_reach_the_kernel(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    peer = await node.connect()
    await say(node, ref, "import os")
    found = await peer.ask(COMPLETE, Complete(kernel=ref, code="os.getp", col=7, line="os.getp"))
    assert any("getpid" in one for one in found.completions)
    sleeping = asyncio.create_task(execute(node, ref, "import time; time.sleep(60)"))
    result = None
    while result is None:
        await peer.ask(INTERRUPT, ref)
        done, _ = await asyncio.wait([sleeping], timeout=0.2)
        result = sleeping.result() if done else None
    assert "KeyboardInterrupt" in str(result.console)


async def test_a_batch_kernel_tells_how_its_command_ended(node: Node, image: str) -> None:
    for command, reason, code in (("exit 0", "task-done", 0), ("exit 3", "task-failed", 3)):
        kernel_id = str(uuid.uuid4())
        spec = make_spec(image, session_type="batch", startup_command=command)
        await node.order(spec, kernel_id)
        report = await node.kernel(kernel_id, KernelState.EXITED, KernelState.FAILED)
        assert (report.state, report.reason, report.exit_code) == ("exited", reason, code)
        await node.remove(KernelRef(kernel_id=kernel_id, generation=1))


async def test_a_restart_keeps_the_work_and_nothing_else(node: Node, image: str) -> None:
    dotfile = HomeFile(path=".app/word", permission="640", data="sesame")
    spec = make_spec(image, files=[dotfile])
    ref = await node.run(spec)
    look = (
        "import os; stat = os.stat('.app/word'); print(oct(stat.st_mode),"
        " stat.st_uid == os.getuid(), os.stat('.app').st_uid == os.getuid(),"
        " open('.app/word').read())"
    )
    laid = "0o100640 True True sesame\n"
    assert await say(node, ref, look) == laid
    await say(node, ref, "os.unlink('.app/word'); os.symlink('/etc/passwd', '.app/word')")
    await say(node, ref, "open('kept', 'w').write('1'); open('/tmp/lost', 'w').write('1')")
    old = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    await node.order(spec, ref.kernel_id, 2)
    again = KernelRef(kernel_id=ref.kernel_id, generation=2)

    def is_new(report) -> bool:
        return any(one.generation == 2 and one.state == "running" for one in report.kernels)

    report = await node.until(is_new)
    assert report.kernels[0].container_id != old.container_id
    code = "import os; print(sorted(os.listdir('.')), os.listdir('/tmp'))"
    assert await say(node, again, code) == "['.app', 'kept'] []\n"
    assert await say(node, again, look) == laid
    with pytest.raises(StaleGeneration):
        await say(node, ref, "1")
    with pytest.raises(StaleGeneration, match="generation 2"):
        await node.order(spec, ref.kernel_id, 1)
    assert (await node.kernel(ref.kernel_id, KernelState.RUNNING)).generation == 2


async def test_gone_before_create_beats_the_late_create(node: Node, image: str) -> None:
    kernel_id = str(uuid.uuid4())
    await node.order(None, kernel_id)
    await node.kernel(kernel_id, KernelState.GONE)
    late = await node.order(make_spec(image), kernel_id)
    assert late.state is KernelState.GONE
    with pytest.raises(KernelNotRunning):
        await say(node, KernelRef(kernel_id=kernel_id, generation=1), "1")


async def test_many_orders_at_once_make_one_container(node: Node, image: str) -> None:
    kernel_id, spec = str(uuid.uuid4()), make_spec(image)
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(node.order(spec, kernel_id))
    await node.kernel(kernel_id, KernelState.RUNNING)
    assert len((await node.observe()).kernels) == 1
    assert len(list((node.scratch / kernel_id).glob("run.*"))) == 1


async def test_an_order_taken_back_while_it_starts_leaves_nothing(node: Node, image: str) -> None:
    refs = []
    for _ in range(3):
        kernel_id = str(uuid.uuid4())
        await node.order(make_spec(image), kernel_id)
        refs.append(kernel_id)
    for kernel_id in refs:
        await node.order(None, kernel_id, grace_seconds=0.0)
    for kernel_id in refs:
        await node.kernel(kernel_id, KernelState.GONE)
    assert [one for one in node.scratch.iterdir() if not one.name.startswith(".")] == []


async def test_a_missing_image_is_a_clear_failure(node: Node) -> None:
    kernel_id = str(uuid.uuid4())
    await node.order(make_spec("no.such.registry.invalid/image:1"), kernel_id)
    report = await node.kernel(kernel_id, KernelState.FAILED)
    assert report.reason == Reason.FAILED_TO_START
    assert "no.such.registry.invalid/image:1" in report.detail
    unpulled = str(uuid.uuid4())
    await node.order(make_spec("not-here:1", pull=False), unpulled)
    assert "may not pull" in (await node.kernel(unpulled, KernelState.FAILED)).detail


async def test_a_kernel_killed_from_outside_is_told_apart(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    pid = int((await say(node, ref, "import os; print(os.getppid())")) or 0)
    assert pid > 0
    await node.until(lambda report: report.kernels[0].use is not None)
    os.kill(host_pid(node, ref), signal.SIGKILL)
    report = await node.kernel(ref.kernel_id, KernelState.EXITED)
    assert report.reason == Reason.KILLED_BY_EVENT


def host_pid(node: Node, ref: KernelRef) -> int:
    """The runner's pid on the host, found by the only command line that has its setup open."""
    name = f"bai.{ref.kernel_id}.{ref.generation}"
    if node.mode == "docker":
        client = docker.APIClient(base_url=node.docker_host)
        try:
            return int(client.inspect_container(name)["State"]["Pid"])
        finally:
            client.close()
    run_dir = f"{node.scratch}/{ref.kernel_id}/run.{ref.generation}".encode()
    pids = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    return max(pid for pid in pids if run_dir in read_command(pid))


def read_command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_usage_is_measured_without_the_engine(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    await say(node, ref, "data = bytearray(50 * 2**20)")
    report = await node.until(
        lambda report: (
            (use := report.kernels[0].use) is not None
            and use.cpu_used_milliseconds > 0
            and use.memory_bytes > 50 * MIB
        ),
        60,
    )
    use = report.kernels[0].use
    assert use is not None
    assert 1 <= use.processes < 40
    assert abs(time.time() - use.sampled_at) < 60
    assert report.memory_used_bytes > 0


async def test_a_change_ends_a_long_poll_at_once(node: Node, image: str) -> None:
    before = await node.observe()
    loop = asyncio.get_running_loop()
    started = loop.time()
    waiting = asyncio.create_task(node.observe(before.version, before.instance, 20.0))
    await asyncio.sleep(0.05)
    await node.order(make_spec(image), str(uuid.uuid4()))
    after = await waiting
    assert after.version > before.version
    assert loop.time() - started < 5


# The agent's own death


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_kernels_outlive_the_agent(node: Node, image: str, number: int) -> None:
    ref = await node.run(make_spec(image))
    await say(node, ref, "x = 41")
    pid = host_pid(node, ref)
    before = await node.observe()
    node.restart(number)
    report = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    assert (await node.observe()).instance != before.instance
    assert host_pid(node, ref) == pid
    assert report.container_id == before.kernels[0].container_id
    assert report.slots == before.kernels[0].slots
    assert await say(node, ref, "print(x + 1)") == "42\n"
    await node.remove(ref)


async def test_without_its_state_dir_the_agent_finds_everything(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    pid = host_pid(node, ref)
    node.end(signal.SIGKILL)
    orders = node.folder / "state" / "desires"
    for path in orders.iterdir():
        path.write_bytes(b"\0garbage")
    node.start()
    await node.kernel(ref.kernel_id, KernelState.RUNNING)
    assert host_pid(node, ref) == pid
    assert await say(node, ref, "print(42)") == "42\n"
    await node.remove(ref)


async def test_an_end_while_the_agent_was_away_is_told(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    pid = host_pid(node, ref)
    node.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    node.start()
    report = await node.kernel(ref.kernel_id, KernelState.EXITED)
    assert report.reason == Reason.KILLED_BY_EVENT


BACKEND_STEPS = [
    "agent.{}.before_create",
    "agent.{}.after_create",
    "agent.{}.before_start",
    "agent.{}.after_start",
    "agent.runner.before_hello",
    "agent.runner.after_hello",
    "agent.scratch.before_prepare",
    "agent.scratch.after_prepare",
    "agent.desires.before_save",
    "agent.desires.after_save",
]


@pytest.mark.parametrize("step", BACKEND_STEPS)
async def test_killed_at_any_step_of_a_start_it_goes_on(
    resting_node: Node, image: str, step: str
) -> None:
    node = resting_node
    node.start(f"{step.format(node.mode)}:kill")
    kernel_id, spec = str(uuid.uuid4()), make_spec(image)
    # The kill may come before the reply is on its way.
    ordering = asyncio.create_task(node.order(spec, kernel_id))
    assert await node.end_of_process() == -signal.SIGKILL
    ordering.cancel()
    with contextlib.suppress(Fault, asyncio.CancelledError):
        await ordering
    node.start()
    await node.order(spec, kernel_id)
    await node.kernel(kernel_id, KernelState.RUNNING)
    ref = KernelRef(kernel_id=kernel_id, generation=1)
    assert await say(node, ref, "print(42)") == "42\n"
    assert len(list((node.scratch / kernel_id).glob("run.*"))) == 1


@pytest.mark.parametrize(
    "step",
    [
        "agent.runner.before_shutdown",
        "agent.runner.after_shutdown",
        "agent.{}.before_remove",
        "agent.{}.after_remove",
        "agent.scratch.before_put_aside",
        "agent.scratch.after_put_aside",
    ],
)
async def test_killed_at_any_step_of_an_end_it_goes_on(
    resting_node: Node, image: str, step: str
) -> None:
    node = resting_node
    node.start(f"{step.format(node.mode)}:kill")
    ref = await node.run(make_spec(image))
    await node.order(None, ref.kernel_id, grace_seconds=1.0)
    assert await node.end_of_process() == -signal.SIGKILL
    node.start()
    await node.kernel(ref.kernel_id, KernelState.GONE)
    assert not (node.scratch / ref.kernel_id).exists()


@pytest.mark.parametrize("step", ["agent.scratch.before_drop", "agent.scratch.after_drop"])
async def test_killed_while_an_older_generation_goes_it_goes_on(
    resting_node: Node, image: str, step: str
) -> None:
    node = resting_node
    node.start(f"{step}:kill")
    spec = make_spec(image)
    ref = await node.run(spec)
    await node.order(spec, ref.kernel_id, 2, grace_seconds=1.0)
    assert await node.end_of_process() == -signal.SIGKILL
    node.start()
    report = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    assert report.generation == 2
    await node.remove(KernelRef(kernel_id=ref.kernel_id, generation=2))
    assert not (node.scratch / ref.kernel_id).exists()


@pytest.mark.parametrize("step", ["agent.{}.before_terminate", "agent.{}.after_terminate"])
async def test_a_runner_that_cannot_be_asked_is_ended_all_the_same(
    node: Node, image: str, step: str
) -> None:
    ref = await node.run(make_spec(image))
    node.end()
    (node.scratch / ref.kernel_id / f"run.{ref.generation}" / SOCKET_NAME).unlink()
    node.start(f"{step.format(node.mode)}:kill")
    await node.kernel(ref.kernel_id, KernelState.RUNNING)
    await node.order(None, ref.kernel_id, grace_seconds=1.0)
    assert await node.end_of_process() == -signal.SIGKILL
    node.start()
    await node.kernel(ref.kernel_id, KernelState.GONE)


async def test_it_stops_soon_and_says_so(node: Node) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await asyncio.to_thread(node.end, signal.SIGTERM) == 0
    assert loop.time() - started < 10
