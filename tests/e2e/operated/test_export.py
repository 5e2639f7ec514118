"""A cluster that `./bai up` made moves to a machine that runs it by systemd, with all it has."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.operated.conftest import Machines
from tests.running.machine import Machine, pip_environ
from tests.running.stack import Stack
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

FORMS: Final = ("systemd", "compose")
ROLES: Final = ("manager", "agent", "storage-proxy", "webserver", "wsproxy", "client")
DAEMONS: Final = {
    "manager": "mgr",
    "agent": "ag",
    "storage-proxy": "storage",
    "webserver": "web",
    "wsproxy": "wsproxy",
}
AS_USER: Final = ". /etc/backend.ai/env-user.sh; "


@pytest.fixture(scope="module")
def folder_name(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder with a file in it, of the first user."""
    file = tmp_path_factory.mktemp("files") / "told.txt"
    file.write_text("moved with everything")
    shared_stack.ok("vfolder", "create", "kept")
    shared_stack.ok("vfolder", "upload", "kept", str(file))
    yield "kept"
    shared_stack.ok("vfolder", "delete", "kept")


@pytest.fixture(scope="module")
def exports(
    shared_stack: Stack, folder_name: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What was written, by form; with the folder in it."""
    parent = tmp_path_factory.mktemp(f"export-with-{folder_name}")
    for form in FORMS:
        done = shared_stack.bai("export", f"--{form}", str(parent / form))
        assert done.code == 0, done.both
    return {form: parent / form for form in FORMS}


@pytest.fixture(params=FORMS)
def exported(request: pytest.FixtureRequest, exports: dict[str, Path]) -> Path:
    return exports[request.param]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_settings_are_sound(shared_stack: Stack, exported: Path, daemon: str) -> None:
    path = exported / "etc" / f"{daemon}.toml"
    assert shared_stack.cli(DAEMONS[daemon], "check-config", "-f", str(path)).both.strip() == (
        "The settings are sound."
    )


def test_only_its_owner_may_read_what_is_exported(exported: Path) -> None:
    assert stat.S_IMODE(exported.stat().st_mode) == 0o700
    secret = [exported / ".env", exported / "cluster.tar.gz", *(exported / "etc").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_units_and_stores_are_in_it(exported: Path) -> None:
    units = {path.name for path in (exported / "systemd").iterdir()}
    assert "backendai-console-server.service" in units
    composed = {path.name for path in exported.glob("docker-compose.*")}
    stores = ("postgres", "redis", "etcd") if exported.name == "compose" else ()
    assert composed == {f"docker-compose.hs.{name}.yaml" for name in stores}


@pytest.fixture(scope="module")
def machine(exports: dict[str, Path], machines: Machines) -> Iterator[Machine]:
    """The exported cluster, installed by its own script."""
    names = " ".join(f"backendai-{role}" for role in ROLES)
    with machines() as found:
        found.put(exports["systemd"], "/root/cluster")
        found.ok(
            "python3 -m venv /opt/backend.ai;"
            f"/opt/backend.ai/bin/pip install --quiet --find-links /root/dist {names};"
            "ln -s /opt/backend.ai/bin/backendai /usr/local/bin/",
            pip_environ(),
        )
        found.ok("/root/cluster/install.sh")
        yield found


def test_people_and_folders_have_moved(machine: Machine, folder_name: str) -> None:
    machine.ok(f"{AS_USER} backendai vfolder download {folder_name} told.txt")
    assert machine.ok("cat told.txt") == "moved with everything"


def test_sessions_start_on_it(machine: Machine, folder_name: str) -> None:
    create = (
        f"{AS_USER} backendai session create --name moved -r cpu=1 -r mem=256m -v {folder_name}"
    )
    until(lambda: machine.run(create).code == 0, "the node and its images are known")
    code = f"print(open('{folder_name}/told.txt').read())"
    told = machine.ok(f'{AS_USER} backendai session exec moved -c "{code}"')
    assert told.strip() == "moved with everything"


def test_installing_again_changes_nothing(machine: Machine) -> None:
    before = machine.ok("sha256sum /etc/backend.ai/*")
    machine.ok("/root/cluster/install.sh")
    assert machine.ok("sha256sum /etc/backend.ai/*") == before
    listed = machine.ok(f"{AS_USER} backendai vfolder list --output json")
    assert len(json.loads(listed)) == 1
