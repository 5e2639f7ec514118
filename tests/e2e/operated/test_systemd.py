"""Every command of an operator's sheet for units, on a machine that the install guide made, with a
session that outlives each of them."""

import json
import re
from typing import Final

import pytest

from backendai.halfstack.images import PYTHON
from tests.e2e.operated.conftest import end_sessions
from tests.running.machine import Machine
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

# The watchdog's wait, the abort, and a start, on a machine that is busy.
PATIENT_SECONDS: Final = 240.0
UNITS: Final = ("manager", "agent", "console-server", "storage-proxy", "wsproxy", "watcher")
AS_ADMIN: Final = f". /etc/backend.ai/env-admin.sh; export BACKENDAI_IMAGE={PYTHON.name}; "
# What `systemd-analyze security` may say at most, of 10; the agent needs root and Docker.
EXPOSURE_MAX: Final = {"agent": 7.5}
EXPOSURE_MAX_ELSE: Final = 2.5


@pytest.fixture(scope="module")
def machine(installed: Machine) -> Machine:
    end_sessions(installed)
    return installed


@pytest.fixture(scope="module")
def session(machine: Machine) -> str:
    """Name of a session that keeps a value, with a folder in it."""
    machine.ok(f"{AS_ADMIN} backendai vfolder create data")
    machine.ok(f"{AS_ADMIN} backendai session create --name keep -r cpu=1 -r mem=256m -v data")
    machine.ok(f"{AS_ADMIN} backendai session exec keep -c 'x = 40'")
    return "keep"


def value_of(machine: Machine, session: str) -> str:
    """What its interpreter remembers, with the patience that a client has."""
    answers: list[str] = []

    def ask() -> bool:
        done = machine.run(f"{AS_ADMIN} backendai session exec {session} -c 'print(x + 2)'")
        answers.append(done.out.strip())
        return done.code == 0

    until(ask, f"{session} answers")
    return answers[-1]


def container_of(machine: Machine) -> str:
    return machine.ok("docker ps --no-trunc --quiet --filter label=bai.kernel")


def main_pid(machine: Machine, unit: str) -> int:
    """0 while there is none, or systemd is too busy to say."""
    return int(machine.ok(f"systemctl show --property MainPID --value backendai-{unit}") or 0)


@pytest.mark.parametrize("unit", UNITS)
def test_status_shows_a_daemon_that_has_said_it_is_ready(machine: Machine, unit: str) -> None:
    told = machine.ok(f"systemctl status backendai-{unit}")
    assert "Active: active (running)" in told
    assert 'Status: "Serving."' in told


@pytest.mark.parametrize("unit", UNITS)
def test_the_journal_has_its_records_as_they_were_written(machine: Machine, unit: str) -> None:
    lines = machine.ok(f"journalctl --output cat -u backendai-{unit}").splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(record["event"].endswith(".started") for record in records)


def test_the_webserver_is_known_by_both_names(machine: Machine) -> None:
    for name in ("backendai-console-server", "backendai-webserver"):
        assert machine.ok(f"systemctl is-active {name}").strip() == "active"


def test_a_session_has_its_folder(machine: Machine, session: str) -> None:
    code = "open('data/seen', 'w').write('yes')"
    machine.ok(f'{AS_ADMIN} backendai session exec {session} -c "{code}"')
    owner = machine.ok("find /vfroot/local -name seen -printf '%U'")
    assert owner == "2000"


@pytest.mark.parametrize("unit", UNITS)
def test_a_session_outlives_a_restart(machine: Machine, session: str, unit: str) -> None:
    before, pid = container_of(machine), main_pid(machine, unit)
    machine.ok(f"systemctl restart backendai-{unit}")
    assert main_pid(machine, unit) != pid
    assert container_of(machine) == before
    assert value_of(machine, session) == "42"


@pytest.mark.parametrize("unit", UNITS)
def test_a_session_outlives_stop_and_start(machine: Machine, session: str, unit: str) -> None:
    before = container_of(machine)
    machine.ok(f"systemctl stop backendai-{unit}")
    assert machine.run(f"systemctl is-active backendai-{unit}").out.strip() == "inactive"
    assert container_of(machine) == before
    machine.ok(f"systemctl start backendai-{unit}")
    assert value_of(machine, session) == "42"


@pytest.mark.parametrize("unit", UNITS)
def test_a_killed_daemon_is_back(machine: Machine, session: str, unit: str) -> None:
    pid = main_pid(machine, unit)
    machine.ok(f"kill -9 {pid}")
    until(
        lambda: (
            main_pid(machine, unit) not in (0, pid)
            and machine.run(f"systemctl is-active backendai-{unit}").code == 0
        ),
        f"{unit} is back",
    )
    assert value_of(machine, session) == "42"


def test_administrators_restart_an_agent_through_its_watcher(
    machine: Machine, session: str
) -> None:
    before, pid = container_of(machine), main_pid(machine, "agent")
    node = machine.ok("echo i-$(hostname)").strip()
    unit = f"{AS_ADMIN} backendai admin agent unit {node}"
    assert "active (running)" in machine.ok(unit)
    machine.ok(f"{unit} restart")
    until(lambda: main_pid(machine, "agent") not in (0, pid), "the agent is another process")
    until(lambda: "active (running)" in machine.ok(unit), "the watcher tells that it runs")
    machine.ok(f"{unit} stop")
    until(lambda: "inactive (dead)" in machine.ok(unit), "the watcher tells that it is stopped")
    assert container_of(machine) == before
    machine.ok(f"{unit} start")
    assert value_of(machine, session) == "42"


def test_one_that_hangs_is_ended_by_the_watchdog(machine: Machine, session: str) -> None:
    machine.ok(
        "mkdir -p /run/systemd/system/backendai-manager.service.d;"
        "printf '[Service]\\nWatchdogSec=10s\\n' > "
        "/run/systemd/system/backendai-manager.service.d/test.conf;"
        "systemctl daemon-reload; systemctl restart backendai-manager"
    )
    pid = main_pid(machine, "manager")
    machine.ok(f"kill -STOP {pid}")
    until(
        lambda: (
            main_pid(machine, "manager") not in (0, pid)
            and machine.run("systemctl is-active backendai-manager").code == 0
        ),
        "the manager is back",
        seconds=PATIENT_SECONDS,
    )
    assert "Watchdog timeout" in machine.ok("journalctl --output cat -u backendai-manager")
    machine.ok(
        "rm -r /run/systemd/system/backendai-manager.service.d;"
        "systemctl daemon-reload; systemctl restart backendai-manager"
    )
    assert value_of(machine, session) == "42"


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_sound_and_exposes_little(machine: Machine, unit: str) -> None:
    name = f"backendai-{unit}.service"
    told = machine.run(f"systemd-analyze verify --man=no {name}").both
    # Of Debian 12, whose systemd tries again without a back-off.
    unknown = [line for line in told.splitlines() if "RestartSteps" not in line]
    assert not [line for line in unknown if name in line and "RestartMaxDelaySec" not in line]
    rating = machine.ok(f"systemd-analyze security --no-pager {name}").splitlines()[-1]
    found = re.search(r"(\d+\.\d+)", rating)
    assert found is not None, rating
    assert float(found.group()) <= EXPOSURE_MAX.get(unit, EXPOSURE_MAX_ELSE), rating
