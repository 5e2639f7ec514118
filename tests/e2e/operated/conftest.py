"""Wheels of this source tree, and machines that have systemd as their first process."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from backendai.halfstack.dist import build_wheels
from backendai.halfstack.images import PYTHON, archive_of, find_cache, make_archive
from tests.running.machine import Machine, pip_environ, run_machine
from tests.running.stack import ROOT, Stack
from tests.running.waiting import until

Machines = Callable[..., AbstractContextManager[Machine]]

GUIDE: Final = ROOT / "docs/operating/install"
LAST_WORDS: Final = "journalctl --no-pager --output cat --lines 40 --unit 'backendai-*'"
FORMS: Final = ("systemd", "compose")
ROLES: Final = ("manager", "agent", "storage-proxy", "webserver", "wsproxy", "client")


@pytest.fixture(scope="package")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    build_wheels(ROOT, target)
    return target


@pytest.fixture(scope="package")
def machines(docker_host: str, wheels: Path) -> Machines:
    """Fresh ones, with the wheels in /root/dist and an image for sessions in the engine.

    `folders` is what they have at /vfroot, which others may have too.
    """
    make_archive(PYTHON, find_cache())

    @contextmanager
    def run(folders: Path | None = None) -> Iterator[Machine]:
        shared = {folders: "/vfroot"} if folders else {}
        with run_machine(docker_host, find_cache() / "images", shared) as machine:
            machine.put(wheels, "/root/dist")
            _import_python(machine)
            yield machine

    return run


@pytest.fixture(scope="package")
def folder_name(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder with a file in it, of the first user."""
    file = tmp_path_factory.mktemp("files") / "told.txt"
    file.write_text("moved with everything")
    shared_stack.ok("vfolder", "create", "kept")
    shared_stack.ok("vfolder", "upload", "kept", str(file))
    yield "kept"
    shared_stack.ok("vfolder", "delete", "kept")


@pytest.fixture(scope="package")
def exports(
    shared_stack: Stack, folder_name: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What was written, by form; with the folder in it."""
    parent = tmp_path_factory.mktemp(f"export-with-{folder_name}")
    for form in FORMS:
        done = shared_stack.bai("export", f"--{form}", str(parent / form))
        assert done.code == 0, done.both
    return {form: parent / form for form in FORMS}


@pytest.fixture(scope="package")
def on_debian(exports: dict[str, Path], machines: Machines) -> Iterator[Machine]:
    """The exported cluster with Debian's stores, installed by its own script."""
    with machines() as found:
        _install(found, exports["systemd"])
        yield found


@pytest.fixture(scope="package")
def composed(exports: dict[str, Path], machines: Machines) -> Iterator[Machine]:
    """The exported cluster with its stores in containers; Docker's Compose is there as
    `docker-compose`, of this Debian, and as `docker compose`, of the next one."""
    with machines() as found:
        found.ok("systemctl disable --quiet --now postgresql redis-server etcd")
        found.ok(BOTH_COMPOSES)
        _install(found, exports["compose"])
        yield found


ONE_MACHINE: Final = (
    *("os", "database", "cache", "config-service"),
    *("manager", "agent", "storage-proxy", "webserver", "wsproxy#"),
)


@pytest.fixture(scope="package")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What machines have in common, as by NFS."""
    made = tmp_path_factory.mktemp("vfroot")
    made.chmod(0o755)
    return made


@pytest.fixture(scope="package")
def installed(machines: Machines, folders: Path) -> Iterator[Machine]:
    """A cluster on one machine, by the pages of the install guide."""
    with machines(folders) as found:
        follow(found, *ONE_MACHINE)
        know_image(found)
        yield found


BOTH_COMPOSES: Final = """
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends docker-compose > /dev/null
echo 'deb http://deb.debian.org/debian trixie main' > /etc/apt/sources.list.d/next.list
apt-get update --quiet=2
cd /tmp
apt-get download --quiet=2 docker-compose/trixie
dpkg-deb --extract docker-compose_*.deb /opt/next
mkdir -p /usr/libexec/docker/cli-plugins
ln -s /opt/next/usr/libexec/docker/cli-plugins/docker-compose /usr/libexec/docker/cli-plugins/
rm /etc/apt/sources.list.d/next.list
"""


def follow(machine: Machine, *places: str, **environ: str) -> None:
    """Run every command of pages of the install guide, or of `page#Heading`, as it is written."""
    environ |= {**pip_environ(), "BASE_IMAGE": PYTHON.name, "BACKENDAI_IMAGE": PYTHON.name}
    # A machine that many tests share answers late.
    environ["COMPOSE_HTTP_TIMEOUT"] = "300"
    for place in places:
        for commands in read_commands(place):
            done = machine.run(commands, environ)
            assert done.code == 0, (
                f"{place}: {commands}\n{done.both}\n{machine.run(LAST_WORDS).both}"
            )


def read_commands(place: str) -> list[str]:
    """What is before the first heading is `page#`."""
    page, sharp, heading = place.partition("#")
    parts = re.split(r"^## ", (GUIDE / f"{page}.md").read_text(), flags=re.MULTILINE)
    named = {title: text for title, _, text in (part.partition("\n") for part in parts[1:])}
    text = {"": parts[0], **named}[heading] if sharp else "".join(parts)
    found = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"{place} has no commands"
    return found


def know_image(machine: Machine) -> None:
    """Wait until managers have heard of the image that the node has."""
    known = ". /etc/backend.ai/env-admin.sh; backendai images"
    until(lambda: PYTHON.name in machine.run(known).out, "managers know the image")


def end_sessions(machine: Machine) -> None:
    """Make room: a machine of two processors is soon full, and what does not fit waits."""
    every = "backendai ps --output csv --format name | tail -n +2"
    machine.ok(f". /etc/backend.ai/env-admin.sh; {every} | xargs -r backendai session terminate")


def put_halfstack(machine: Machine) -> None:
    """The folder of the compose files, as the guide has it copied; Debian's stores make room."""
    machine.ok("systemctl disable --quiet --now postgresql redis-server etcd")
    machine.put(ROOT / "halfstack", "/root/halfstack")
    machine.put(ROOT / "wsproxy/Dockerfile", "/root/halfstack/Dockerfile")


def _install(machine: Machine, export: Path) -> None:
    names = " ".join(f"backendai-{role}" for role in ROLES)
    machine.put(export, "/root/cluster")
    machine.ok(
        "python3 -m venv /opt/backend.ai;"
        f"/opt/backend.ai/bin/pip install --quiet --find-links /root/dist {names};"
        "ln -s /opt/backend.ai/bin/backendai /usr/local/bin/",
        pip_environ(),
    )
    machine.ok("/root/cluster/install.sh", {"BASE_IMAGE": PYTHON.name})


def _import_python(machine: Machine) -> None:
    labels = [f"LABEL {name}={json.dumps(value)}" for name, value in PYTHON.labels.items()]
    changes = [*labels, f"CMD {PYTHON.command}", "ENV PATH=/usr/local/bin:/usr/bin:/bin"]
    options = " ".join(f"--change '{change}'" for change in changes)
    archive = archive_of(PYTHON, find_cache()).name
    machine.ok(f"docker import {options} /images/{archive} {PYTHON.name}")
