"""Three managers on stores of several servers, by the guide: whatever is lost, sessions live on and
new ones start."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.e2e.operated.conftest import Machines, follow, know_image, put_halfstack
from tests.running.machine import Machine
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

COMPOSE: Final = (
    "cd /root/halfstack; docker-compose -p backendai -f docker-compose.halfstack-ha.yaml "
)
AS_ADMIN: Final = ". /etc/backend.ai/env-admin.sh; "
EXEC: Final = f"{AS_ADMIN} backendai session exec keep -c 'print(x + 2)'"
CREATE: Final = f"{AS_ADMIN} backendai session create -r cpu=1 -r mem=256m --name "
HEALTH: Final = "xargs docker inspect --format '{{.State.Health.Status}}'"
SERVERS: Final = 10
LOG_IN: Final = f"""{AS_ADMIN}
printf '{{"username": "%s", "password": "%s"}}' "$BAI_LOGIN" "$BAI_PASSWORD" |
curl --fail --silent --json @- --header 'X-BackendAI-Version: v6.20220615' \\
  http://127.0.0.1:8090/server/login | grep --quiet '"authenticated": *true'
"""
FOLLOWERS: Final = """
export PGPASSWORD=$(cat /etc/backend.ai/db-password)
psql -h 127.0.0.1 -p 5433 -U backendai -Atc 'select count(*) from pg_stat_replication' backendai
"""


def is_whole(machine: Machine) -> bool:
    states = machine.ok(f"{COMPOSE} ps -q | {HEALTH}").split()
    return states == ["healthy"] * SERVERS


@pytest.fixture(scope="module")
def machine(machines: Machines) -> Iterator[Machine]:
    with machines() as found:
        put_halfstack(found)
        follow(found, "os", "compose")
        for one in ("postgres", "redis", "etcd"):
            found.ok(f"{COMPOSE.replace('halfstack-ha', f'hs.{one}')} down --volumes")
        follow(found, "high-availability#Stores")
        until(lambda: is_whole(found), "every server is healthy")
        follow(found, "manager", "agent", "storage-proxy", "webserver", "wsproxy#")
        follow(found, "high-availability#Settings", "high-availability#Three managers")
        know_image(found)
        found.ok(f"{CREATE} keep")
        found.ok(f"{AS_ADMIN} backendai session exec keep -c 'x = 40'")
        yield found


def assert_all_goes_on(machine: Machine, name: str) -> None:
    """The session has its memory, another one comes and goes, and people log in."""
    assert until(lambda: machine.run(EXEC).out, "the session answers").strip() == "42"
    until(lambda: machine.run(f"{CREATE} {name}").code == 0, "another session runs")
    machine.ok(f"{AS_ADMIN} backendai session terminate {name}")
    until(lambda: machine.run(LOG_IN).code == 0, "people log in")


def test_the_master_of_redis_is_lost(machine: Machine) -> None:
    machine.ok(f"{COMPOSE} kill redis-1")
    assert_all_goes_on(machine, "without-redis-1")
    follow(machine, "high-availability#A server is back")
    until(lambda: is_whole(machine), "every server is healthy")


@pytest.mark.parametrize("member", ["etcd-1", "etcd-2"])
def test_a_member_of_etcd_is_lost(machine: Machine, member: str) -> None:
    machine.ok(f"{COMPOSE} kill {member}")
    assert_all_goes_on(machine, f"without-{member}")
    follow(machine, "high-availability#A server is back")
    until(lambda: is_whole(machine), "every server is healthy")


@pytest.mark.parametrize("unit", ["backendai-manager", "backendai-manager-2"])
def test_a_manager_is_lost(machine: Machine, unit: str) -> None:
    machine.ok(f"systemctl kill --signal KILL {unit}; systemctl stop {unit}")
    assert_all_goes_on(machine, f"without-{unit}")
    machine.ok(f"systemctl start {unit}")


def test_the_replica_of_postgresql_is_promoted(machine: Machine) -> None:
    machine.ok(f"{COMPOSE} kill postgres-1")
    follow(machine, "high-availability#The primary of PostgreSQL is gone")
    assert_all_goes_on(machine, "without-postgres-1")
    until(lambda: is_whole(machine), "every server is healthy")
    until(lambda: machine.ok(FOLLOWERS) == "1\n", "the old primary follows the new one")
