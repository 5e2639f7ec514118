"""An engine that dies, hangs, or is tampered with: nothing is lost and nothing is killed for it."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest

from backendai.agent.backends.docker.backend import DockerBackend
from backendai.agent.backends.docker.bridges import Bridges
from backendai.agent.labels import PROBE
from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import KernelRef, KernelState
from backendai.common.enums import Reason
from backendai.halfstack.control import find_standings
from backendai.halfstack.engine import run_engine
from backendai.halfstack.images import BUSYBOX, find_cache, import_image
from backendai.halfstack.places import Layout

from .conftest import Node, end_node, make_spec
from .speaking import say


async def inspect(node: Node, ref: KernelRef) -> dict[str, object]:
    client = docker.APIClient(base_url=node.docker_host)
    try:
        name = f"bai.{ref.kernel_id}.{ref.generation}"
        details = await asyncio.to_thread(client.inspect_container, name)
        return dict(details["State"])
    finally:
        client.close()


async def call_engine(node: Node, method: str, *args: object, **options: object) -> object:
    client = docker.APIClient(base_url=node.docker_host)
    try:
        return await asyncio.to_thread(getattr(client, method), *args, **options)
    finally:
        client.close()


# Tampering


async def test_docker_kill_is_told_as_such(docker_node: Node, busybox_image: str) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    await call_engine(docker_node, "kill", f"bai.{ref.kernel_id}.1")
    report = await docker_node.kernel(ref.kernel_id, KernelState.EXITED)
    assert (report.reason, report.exit_code) == (Reason.KILLED_BY_EVENT, 137)


async def test_docker_stop_is_told_as_such(docker_node: Node, busybox_image: str) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    await call_engine(docker_node, "stop", f"bai.{ref.kernel_id}.1")
    report = await docker_node.kernel(ref.kernel_id, KernelState.EXITED)
    assert report.reason == Reason.KILLED_BY_EVENT


async def test_docker_rm_is_told_as_such(docker_node: Node, busybox_image: str) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    await call_engine(docker_node, "remove_container", f"bai.{ref.kernel_id}.1", force=True)
    report = await docker_node.kernel(ref.kernel_id, KernelState.EXITED)
    assert report.reason in (Reason.NOT_FOUND_ON_AGENT, Reason.KILLED_BY_EVENT)
    await docker_node.remove(ref)


async def test_a_kernel_removed_while_the_agent_was_away_is_not_made_again(
    docker_node: Node, busybox_image: str
) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    docker_node.end(signal.SIGKILL)
    await call_engine(docker_node, "remove_container", f"bai.{ref.kernel_id}.1", force=True)
    docker_node.start()
    report = await docker_node.kernel(ref.kernel_id, KernelState.EXITED)
    assert report.reason == Reason.NOT_FOUND_ON_AGENT


async def test_strange_labels_are_told_of_and_left_alone(
    docker_node: Node, busybox_image: str
) -> None:
    strange = [
        {"bai.agent": docker_node.agent_id},
        {"bai.agent": docker_node.agent_id, "bai.kernel": "x", "bai.generation": "1"},
        {"bai.agent": docker_node.agent_id, "bai.kernel": str(uuid.uuid4()), "bai.session": "s"},
    ]
    made = []
    for labels in strange:
        one = await call_engine(
            docker_node, "create_container", busybox_image, ["sleep", "99"], labels=labels
        )
        assert isinstance(one, dict)
        made.append(one["Id"])
        await call_engine(docker_node, "start", one["Id"])
    report = await docker_node.until(lambda report: report.engine_detail.count("not touched") == 3)
    assert report.kernels == []
    docker_node.restart()
    await docker_node.until(lambda report: report.engine_detail.count("not touched") == 3)
    for container_id in made:
        details = await call_engine(docker_node, "inspect_container", container_id)
        assert isinstance(details, dict)
        assert details["State"]["Running"]
        await call_engine(docker_node, "remove_container", container_id, force=True)


async def test_a_name_taken_by_a_stranger_is_a_clear_failure(
    docker_node: Node, busybox_image: str
) -> None:
    kernel_id = str(uuid.uuid4())
    name = f"bai.{kernel_id}.1"
    await call_engine(docker_node, "create_container", busybox_image, ["sleep", "99"], name=name)
    await docker_node.order(make_spec(busybox_image), kernel_id)
    report = await docker_node.kernel(kernel_id, KernelState.FAILED)
    assert name in report.detail


async def test_an_image_for_another_machine_is_a_clear_failure(
    docker_node: Node, busybox_image: str
) -> None:
    kernel_id = str(uuid.uuid4())
    spec = make_spec(busybox_image, architecture="aarch64", pull=False)
    await docker_node.order(spec, kernel_id)
    assert (await docker_node.kernel(kernel_id, KernelState.FAILED)).detail


async def test_work_files_gone_from_a_living_kernel_stop_nothing(
    docker_node: Node, busybox_image: str
) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    other = await docker_node.run(make_spec(busybox_image))
    docker_node.end(signal.SIGKILL)
    (docker_node.scratch / ref.kernel_id / "run.1" / "runner.sock").unlink()
    docker_node.start()
    await docker_node.kernel(ref.kernel_id, KernelState.RUNNING)
    await docker_node.kernel(other.kernel_id, KernelState.RUNNING)
    assert await say(docker_node, other, "print(42)") == "42\n"
    await docker_node.remove(ref, grace_seconds=0.0)


# An engine of our own to hurt


@pytest.fixture
async def own_node(
    tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> AsyncIterator[tuple[Node, Layout]]:
    base = tmp_path / "e"
    base.mkdir()
    async with run_engine(base) as host:
        await asyncio.to_thread(import_image, BUSYBOX, host, find_cache())
        node = Node(tmp_path, "docker", host, image_dir, bundle_dir)
        node.start()
        try:
            await node.until(lambda report: report.engine_reachable)
            yield node, Layout(base)
        finally:
            await end_node(node)


async def engine_pid(layout: Layout) -> int:
    standings = await find_standings(layout) or []
    pid = next(one.pid for one in standings if one.name == "dockerd")
    assert pid is not None
    return pid


async def test_kernels_live_through_a_death_of_the_engine(
    own_node: tuple[Node, Layout],
) -> None:
    node, layout = own_node
    ref = await node.run(make_spec(BUSYBOX.name))
    await say(node, ref, "x = 41")
    before = await inspect(node, ref)
    os.kill(await engine_pid(layout), signal.SIGKILL)
    assert await say(node, ref, "print(x + 1)") == "42\n"
    await node.until(lambda report: not report.engine_reachable)
    report = await node.until(lambda report: report.engine_reachable)
    assert [one.state for one in report.kernels] == [KernelState.RUNNING]
    assert (await inspect(node, ref))["Pid"] == before["Pid"]
    await call_engine(node, "kill", f"bai.{ref.kernel_id}.1")
    await node.kernel(ref.kernel_id, KernelState.EXITED)


async def test_an_engine_that_hangs_is_not_dead(own_node: tuple[Node, Layout]) -> None:
    node, layout = own_node
    ref = await node.run(make_spec(BUSYBOX.name))
    pid = await engine_pid(layout)
    os.kill(pid, signal.SIGSTOP)
    try:
        report = await node.until(lambda report: not report.engine_reachable)
        assert [one.state for one in report.kernels] == [KernelState.RUNNING]
        assert await say(node, ref, "print(42)") == "42\n"
        late = str(uuid.uuid4())
        await node.order(make_spec(BUSYBOX.name), late)
    finally:
        os.kill(pid, signal.SIGCONT)
    await node.kernel(late, KernelState.RUNNING)
    assert (await node.kernel(ref.kernel_id, KernelState.RUNNING)).container_id


async def test_what_a_dead_agent_left_half_done_is_swept(
    docker_host: str, docker_node: Node, busybox_image: str
) -> None:
    spec = make_spec(busybox_image, cluster_size=2, cluster_network="wanted")
    await docker_node.run(spec)
    agent_id = docker_node.agent_id
    bridges = Bridges(agent_id)
    backend = DockerBackend(docker_host, agent_id, bridges, SystemClock())
    await backend.ensure_network("forgotten")
    probe = {"Image": busybox_image, "Entrypoint": ["/"], "Labels": {PROBE: agent_id}}
    await call_engine(docker_node, "create_container_from_config", probe)

    await backend.sweep(lambda: {"", "wanted"})
    mine = {"label": [f"{PROBE}={agent_id}"]}
    assert await call_engine(docker_node, "containers", all=True, filters=mine) == []
    traces = await docker_node.traces()
    assert bridges.network_of("forgotten") not in traces
    assert bridges.network_of("wanted") in traces

    # One that a container is in stays, whoever forgot about it.
    await backend.sweep(frozenset)
    assert bridges.network_of("wanted") in await docker_node.traces()
    await backend.close()
