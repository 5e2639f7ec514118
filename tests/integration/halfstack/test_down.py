"""`down --purge`: no file, container, network, mount, cgroup or process stays behind."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import docker
import pytest

from backendai.halfstack.control import await_healthy, ensure_services, start_supervisor
from backendai.halfstack.down import bring_down, kill_marked, purge
from backendai.halfstack.engine import own_docker_host, prepare_engine
from backendai.halfstack.images import BUSYBOX, find_cache, import_image
from backendai.halfstack.network import find_network
from backendai.halfstack.places import Layout
from backendai.halfstack.stores import ExternalStores, prepare_stores

from .traces import find_traces, is_running

_CGROUPS = Path("/sys/fs/cgroup")
_SANDBOX_GROUPS = _CGROUPS / ("pids" if (_CGROUPS / "pids").is_dir() else "") / "backendai"


async def _bring_all(layout: Layout) -> None:
    await start_supervisor(layout)
    services = [*await prepare_stores(layout, ExternalStores()), *prepare_engine(layout)]
    await ensure_services(layout, services)
    await await_healthy(layout, [service.name for service in services], 30)


def _start_container(layout: Layout) -> int:
    import_image(BUSYBOX, own_docker_host(layout), find_cache())
    client = docker.DockerClient(base_url=own_docker_host(layout))
    try:
        network = client.networks.create("second")
        box = client.containers.run(
            BUSYBOX.name, ["sleep", "1000"], detach=True, network=network.id
        )
        box.reload()
        return int(box.attrs["State"]["Pid"])
    finally:
        client.close()


def _list(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _say(words: str) -> None:
    assert words


async def test_containers_outlive_down_and_not_purge(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    await _bring_all(layout)
    inner = await asyncio.to_thread(_start_container, layout)
    network = find_network(layout)
    assert network is not None

    await bring_down(layout, _say)
    assert is_running(inner)

    await _bring_all(layout)
    assert is_running(inner)
    await bring_down(layout, _say)

    await purge(layout, None, _say)
    assert not is_running(inner)
    assert find_traces(layout, network) == []


async def test_purge_of_nothing_is_fine(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "never")
    await purge(layout, None, _say)
    assert _list(tmp_path) == []


async def test_purge_leaves_the_control_groups_of_others(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    ours, others = str(uuid.uuid4()), str(uuid.uuid4())
    (layout.root / "scratch" / ours / "run.1").mkdir(parents=True)
    groups = {name: _SANDBOX_GROUPS / f"bai.{name}.1" for name in (ours, others)}
    for group in groups.values():
        group.mkdir(parents=True)
    try:
        await purge(layout, None, _say)
        assert [group.exists() for group in groups.values()] == [False, True]
    finally:
        groups[others].rmdir()


async def test_purge_after_an_interrupted_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    (layout.data / "postgres.new").mkdir()
    await start_supervisor(layout)
    await purge(layout, None, _say)
    assert _list(tmp_path) == []


async def test_a_sandbox_on_our_files_ends_and_one_of_others_stays(tmp_path: Path) -> None:
    ours, others = _start_sandbox(tmp_path / "state"), _start_sandbox(tmp_path / "state2")
    try:
        await asyncio.to_thread(kill_marked, Layout(tmp_path / "state"))
        assert ours.wait(timeout=10) != 0
        assert others.poll() is None
    finally:
        for sandbox in (ours, others):
            sandbox.kill()
            sandbox.wait()


def _start_sandbox(root: Path) -> subprocess.Popen[str]:
    """As the agent starts them: nothing in the environment tells whose it is."""
    work = root / "scratch" / "work"
    work.mkdir(parents=True)
    binds = ["--ro-bind", "/", "/", "--bind", str(work), str(work)]
    argv = ["bwrap", "--die-with-parent", *binds, "/bin/sh", "-c", "echo ready; exec sleep 1000"]
    sandbox = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={})
    assert sandbox.stdout is not None
    if sandbox.stdout.readline() != "ready\n":
        pytest.skip("sandboxes cannot be made here")
    return sandbox
