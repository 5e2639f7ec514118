"""Stores and the app proxy in containers: the compose files of halfstack/, by every command that an
operator's sheet has for them, below a running cluster with a session that outlives each of them."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.e2e.operated.conftest import follow, put_halfstack
from tests.running.machine import Machine
from tests.running.stack import ROOT
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

FILES: Final = ROOT / "halfstack"
STORES: Final = ("postgres", "redis", "etcd")
PROGRAMS: Final = ("docker-compose", "docker compose")
PROJECT: Final = "backendai"
AS_USER: Final = ". /etc/backend.ai/env-user.sh; "
CREATE: Final = f"{AS_USER} backendai session create -r cpu=1 -r mem=256m --name "
EXEC: Final = f"{AS_USER} backendai session exec "


def compose(program: str, file: str, words: str) -> str:
    return f"cd /root/cluster; {program} -p {PROJECT} -f docker-compose.{file}.yaml {words}"


def containers(machine: Machine, file: str) -> list[dict[str, Any]]:
    ids = machine.ok(compose("docker-compose", file, "ps -q")).split()
    found: list[dict[str, Any]] = json.loads(machine.ok(f"docker inspect {' '.join(ids)}"))
    return found


def is_healthy(machine: Machine, file: str) -> bool:
    states = [one["State"] for one in containers(machine, file)]
    return all(one["Running"] and one["Health"]["Status"] == "healthy" for one in states)


def value_of(machine: Machine) -> str:
    """What the interpreter of the session remembers, with the patience that a client has."""
    asked = f"{EXEC} keep -c 'print(x + 2)'"
    return until(lambda: machine.run(asked).out, "the session answers").strip()


@pytest.fixture(scope="module")
def machine(composed: Machine) -> Machine:
    """With a session that keeps a value."""
    until(lambda: composed.run(f"{CREATE} keep").code == 0, "the node and its images are known")
    composed.ok(f"{EXEC} keep -c 'x = 40'")
    return composed


@pytest.mark.parametrize("name", STORES)
def test_a_store_is_healthy_bounded_and_for_this_machine_alone(machine: Machine, name: str) -> None:
    until(lambda: is_healthy(machine, f"hs.{name}"), f"{name} is healthy")
    (container,) = containers(machine, f"hs.{name}")
    limits = container["HostConfig"]
    assert limits["Memory"] > 0
    assert limits["NanoCpus"] > 0
    assert limits["PidsLimit"] > 0
    (binding,) = [one for ports in limits["PortBindings"].values() for one in ports]
    assert binding["HostIp"] == "127.0.0.1"
    (mount,) = container["Mounts"]
    assert mount["Type"] == "volume"


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_the_password_is_asked_for(machine: Machine, name: str) -> None:
    asked = {
        "postgres": "psql --no-password -h 127.0.0.1 -U backendai backendai -c 'select 1'",
        "redis": "redis-cli ping",
    }[name]
    assert "password" in machine.run(asked).both or "NOAUTH" in machine.run(asked).both


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("file", "needed"),
    [
        ("hs.postgres", "POSTGRES_PASSWORD"),
        ("hs.redis", "REDIS_PASSWORD"),
        ("wsproxy-simple", "WSPROXY_USER"),
        ("halfstack-ha", "PASSWORD"),
    ],
)
def test_without_its_env_file_it_says_what_to_write(
    machine: Machine, program: str, file: str, needed: str
) -> None:
    machine.put(FILES / f"docker-compose.{file}.yaml", f"/root/bare/docker-compose.{file}.yaml")
    told = machine.run(f"cd /root/bare; {program} -p x -f docker-compose.{file}.yaml up -d")
    assert told.code != 0
    assert f"write {needed}" in told.both or f"_{needed}=" in told.both
    assert "to .env beside the compose file" in told.both


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", STORES)
def test_every_command_of_the_sheet(machine: Machine, program: str, name: str) -> None:
    file = f"hs.{name}"
    assert name in machine.ok(compose(program, file, "ps"))
    before = machine.ok(compose(program, file, "logs"))
    assert name in before
    machine.ok(compose(program, file, "restart"))
    assert value_of(machine) == "42"
    machine.ok(compose(program, file, "stop"))
    assert not any(one["State"]["Running"] for one in containers(machine, file))
    machine.ok(compose(program, file, "start"))
    until(lambda: is_healthy(machine, file), f"{name} is healthy")
    assert value_of(machine) == "42"
    assert len(machine.ok(compose(program, file, "logs"))) > len(before)


@pytest.mark.parametrize("program", PROGRAMS)
def test_containers_that_were_made_anew_have_the_data(machine: Machine, program: str) -> None:
    for name in STORES:
        machine.ok(compose(program, f"hs.{name}", "rm --stop --force"))
        machine.ok(compose(program, f"hs.{name}", "up -d"))
    for name in STORES:
        until(lambda file=f"hs.{name}": is_healthy(machine, file), f"{name} is healthy")
    assert value_of(machine) == "42"
    assert "kept" in machine.ok(f"{AS_USER} backendai vfolder list")
    until(lambda: machine.run(f"{CREATE} another").code == 0, "the next session runs")
    machine.ok(f"{AS_USER} backendai session terminate another")


@pytest.fixture(scope="module")
def app_proxy(machine: Machine) -> Iterator[str]:
    """Where its container answers, made by the page on the app proxy in place of the unit."""
    settings = tomllib.loads(machine.ok("cat /etc/backend.ai/wsproxy.toml"))
    port = settings["wsproxy"]["service-addr"]["port"]
    put_halfstack(machine)
    machine.ok(f"echo WSPROXY_PORT={port} > /root/halfstack/.env")
    follow(machine, "wsproxy#In a container")
    yield f"http://127.0.0.1:{port}"
    down = compose("docker-compose", "wsproxy-simple", "down")
    machine.ok(down.replace("/root/cluster", "/root/halfstack"))
    machine.ok("systemctl enable --quiet --now backendai-wsproxy")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_app_proxy_runs_in_a_container(machine: Machine, app_proxy: str, program: str) -> None:
    def do(words: str) -> str:
        told = compose(program, "wsproxy-simple", words).replace("/root/cluster", "/root/halfstack")
        return machine.ok(told)

    ask = f"curl --fail --silent {app_proxy}/health/ready"
    assert machine.run("systemctl is-active backendai-wsproxy").out.strip() == "inactive"
    assert "wsproxy" in do("ps")
    do("restart")
    until(lambda: machine.run(ask).code == 0, "it serves")
    do("stop")
    assert machine.run(ask).code != 0
    do("start")
    until(lambda: machine.run(ask).code == 0, "it serves")
    assert "wsproxy.started" in do("logs")
    assert value_of(machine) == "42"
