"""`up` on stores and on a Docker daemon that others run: they are used, and left as they were."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from backendai.halfstack.engine import run_engine
from backendai.halfstack.images import BUSYBOX, PYTHON, find_cache, make_archive
from backendai.halfstack.stores import StoreAddresses
from tests.running.stack import Stack

_PROGRAM = Path(sys.executable).with_name("backendai")
_SLEEP = ["sleep", "1000"]


@dataclass(frozen=True)
class Site:
    """A cluster on an engine where somebody else has an image, a network and a container."""

    stack: Stack
    docker_host: str
    client: docker.DockerClient
    dsn: str
    environ: Mapping[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {**self.stack.environ, **self.environ}
        return subprocess.run(
            [_PROGRAM, *words], check=False, capture_output=True, text=True, env=environ
        )


@pytest.fixture(scope="module")
def engine(runner: asyncio.Runner) -> Iterator[str]:
    """A daemon of this module alone, since a purge takes images away."""
    base = Path(tempfile.mkdtemp(prefix="bai-borrowed-"))
    running = run_engine(base)
    try:
        yield runner.run(running.__aenter__())
    finally:
        runner.run(running.__aexit__(None, None, None))
        shutil.rmtree(base)


@pytest.fixture(scope="module")
def site(
    engine: str,
    stores: StoreAddresses,
    make_database: Callable[[str | None], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("borrowed") / "state"
    client: Any = docker.DockerClient(base_url=engine)
    archive = make_archive(BUSYBOX, find_cache())
    client.api.import_image_from_file(str(archive), repository="others", tag="box")
    client.networks.create("others")
    client.containers.run("others:box", _SLEEP, detach=True, name="others", network="others")
    dsn = make_database(None)
    environ = {
        "BAI_POSTGRES": dsn,
        "BAI_REDIS": stores.redis,
        "BAI_ETCD": stores.etcd,
        "DOCKER_HOST": engine,
    }
    made = Site(Stack(home), engine, client, dsn, environ)
    try:
        done = made.run("up", "--no-install")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "6 * 7 = 42" in done.stdout
        yield made
    finally:
        made.run("down", "--purge")
        client.close()


def test_nothing_of_it_is_started_once_more(site: Site) -> None:
    data = {path.name for path in site.stack.layout.data.iterdir()}
    assert data.isdisjoint({"postgres", "valkey", "etcd", "docker", "containerd"})
    assert site.stack.docker_host == site.docker_host
    assert site.stack.settings("manager")["db"]["name"] == site.dsn.rpartition("/")[2]


def test_status_tells_of_the_stores_of_others(site: Site, stores: StoreAddresses) -> None:
    done = site.run("status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{stores.etcd_host}:{stores.etcd_port}" in done.stdout


def test_up_again_changes_nothing(site: Site) -> None:
    before = site.run("status", "--json").stdout
    done = site.run("up", "--no-install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.run("status", "--json").stdout == before


def test_a_store_that_is_away_is_told(site: Site) -> None:
    environ = {**site.environ, "BAI_ETCD": "127.0.0.1:1"}
    done = Site(site.stack, site.docker_host, site.client, site.dsn, environ).run("up")
    assert done.returncode == 1
    assert "do not answer: etcd at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_purge_removes_only_what_is_ours(site: Site) -> None:
    started = site.client.containers.run(PYTHON.name, _SLEEP, detach=True, name="in-use")
    session = site.stack.cli("session", "create", "--name", "left")
    assert session.code == 0, session.both
    done = site.run("down", "--purge")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"so they stay: {PYTHON.name}" in done.stdout
    assert f"rm -r {find_cache()}" in done.stdout
    assert "stays there: postgres, redis, etcd" in done.stdout
    assert site.client.ping()
    names = {one.name for one in site.client.containers.list()}
    assert names == {"others", started.name}
    tags = {tag for image in site.client.images.list() for tag in image.tags}
    assert tags == {"others:box", PYTHON.name}
    networks = {one.name for one in site.client.networks.list()}
    assert networks == {"bridge", "host", "none", "others"}
    assert not site.stack.home.exists()
