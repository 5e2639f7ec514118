"""A cluster that `./bai up` made moves to a machine that runs it by systemd, with all it has."""

import json
import stat
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.operated.conftest import FORMS
from tests.running.machine import Machine
from tests.running.stack import Stack
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

DAEMONS: Final = {
    "manager": "mgr",
    "agent": "ag",
    "storage-proxy": "storage",
    "webserver": "web",
    "wsproxy": "wsproxy",
}
AS_USER: Final = ". /etc/backend.ai/env-user.sh; "


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


@pytest.fixture(params=["on_debian", "composed"])
def machine(request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.getfixturevalue(request.param)
    return found


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
    machine.ok(f"{AS_USER} backendai session terminate moved")


def test_installing_again_changes_nothing(machine: Machine) -> None:
    before = machine.ok("sha256sum /etc/backend.ai/*")
    machine.ok("/root/cluster/install.sh")
    assert machine.ok("sha256sum /etc/backend.ai/*") == before
    listed = machine.ok(f"{AS_USER} backendai vfolder list --output json")
    assert len(json.loads(listed)) == 1
