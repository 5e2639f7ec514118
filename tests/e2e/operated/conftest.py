"""Wheels of this source tree, and machines that have systemd as their first process."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from backendai.halfstack.dist import build_wheels
from backendai.halfstack.images import PYTHON, archive_of, find_cache, make_archive
from tests.running.machine import Machine, run_machine
from tests.running.stack import ROOT

Machines = Callable[[], AbstractContextManager[Machine]]


@pytest.fixture(scope="package")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    build_wheels(ROOT, target)
    return target


@pytest.fixture(scope="package")
def machines(docker_host: str, wheels: Path) -> Machines:
    """Fresh ones, with the wheels in /root/dist and an image for sessions in the engine."""
    make_archive(PYTHON, find_cache())

    @contextmanager
    def run() -> Iterator[Machine]:
        with run_machine(docker_host, find_cache() / "images") as machine:
            machine.put(wheels, "/root/dist")
            _import_python(machine)
            yield machine

    return run


def _import_python(machine: Machine) -> None:
    labels = [f"LABEL {name}={json.dumps(value)}" for name, value in PYTHON.labels.items()]
    changes = [*labels, f"CMD {PYTHON.command}", "ENV PATH=/usr/local/bin:/usr/bin:/bin"]
    options = " ".join(f"--change '{change}'" for change in changes)
    archive = archive_of(PYTHON, find_cache()).name
    machine.ok(f"docker import {options} /images/{archive} {PYTHON.name}")
