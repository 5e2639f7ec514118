"""The private engine: containers survive its death, and nothing is left of it at the end."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from backendai.halfstack.control import find_standings
from backendai.halfstack.engine import run_engine
from backendai.halfstack.images import BUSYBOX, find_cache, import_image
from backendai.halfstack.network import find_network
from backendai.halfstack.places import Layout

from .traces import find_traces, is_running


@pytest.fixture
def client(docker_host: str) -> Iterator[docker.DockerClient]:
    own = docker.DockerClient(base_url=docker_host)
    yield own
    own.close()


def test_busybox_runs(client: docker.DockerClient, busybox_image: str) -> None:
    said = client.containers.run(busybox_image, ["sh", "-c", "echo hi"], remove=True)
    assert said == b"hi\n"


def test_python_image_has_labels_and_runs(client: docker.DockerClient, python_image: str) -> None:
    labels = client.images.get(python_image).labels
    assert labels["ai.backend.runtime-path"] == "/usr/bin/python3"
    said = client.containers.run(python_image, ["python3", "-c", "print(6*7)"], remove=True)
    assert said == b"42\n"


def test_python_image_ships_compiled_modules(
    client: docker.DockerClient, python_image: str
) -> None:
    code = "import json; print(json.__cached__); open(json.__cached__).close()"
    said = client.containers.run(python_image, ["python3", "-c", code], remove=True, user="1000")
    assert said.endswith(b".pyc\n")


def test_second_import_changes_nothing(docker_host: str, busybox_image: str) -> None:
    first = import_image(BUSYBOX, docker_host, find_cache())
    assert import_image(BUSYBOX, docker_host, find_cache()) == first


def test_ulimit_is_not_above_the_hosts(client: docker.DockerClient, busybox_image: str) -> None:
    import resource

    said = client.containers.run(busybox_image, ["sh", "-c", "ulimit -Hn"], remove=True)
    assert int(said) <= resource.getrlimit(resource.RLIMIT_NOFILE)[1]


async def _pid_of(layout: Layout, name: str, unlike: int = 0) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for standing in await find_standings(layout) or ():
            if standing.name == name and standing.healthy and standing.pid not in (None, unlike):
                return standing.pid or 0
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} is not healthy again")


def _start_sleeper(docker_host: str) -> tuple[str, int]:
    import_image(BUSYBOX, docker_host, find_cache())
    client = docker.DockerClient(base_url=docker_host)
    try:
        network = client.networks.create("second")
        box = client.containers.run(
            BUSYBOX.name, ["sleep", "1000"], detach=True, network=network.id, init=True
        )
        box.reload()
        return str(box.id), int(box.attrs["State"]["Pid"])
    finally:
        client.close()


def _pid_of_container(docker_host: str, container: str) -> int:
    client = docker.DockerClient(base_url=docker_host)
    try:
        return int(client.containers.get(container).attrs["State"]["Pid"])
    finally:
        client.close()


async def test_containers_survive_kills_and_nothing_is_left(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "e")
    async with run_engine(layout.root) as host:
        container, inner = await asyncio.to_thread(_start_sleeper, host)
        for name in ("dockerd", "containerd"):
            before = await _pid_of(layout, name)
            os.kill(before, signal.SIGKILL)
            await _pid_of(layout, name, unlike=before)
        await _pid_of(layout, "dockerd")
        assert await asyncio.to_thread(_pid_of_container, host, container) == inner
        network = find_network(layout)
        assert network is not None
    assert not is_running(inner)
    assert find_traces(layout, network) == [str(layout.root)]
