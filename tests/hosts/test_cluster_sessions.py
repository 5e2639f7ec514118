"""Sessions over several hosts: their kernels meet in a network of their own, and nobody else."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.hosts.host import Host
from tests.hosts.rig import Rig
from tests.hosts.swarm import await_clean, list_networks, run_swarm
from tests.running.rest import Api
from tests.running.sessions import (
    IMAGES,
    ask_graph,
    await_status,
    end,
    enqueue,
    execute,
    find,
    resources,
    start,
)
from tests.running.waiting import until

SMALL: Final = resources(cpu="0.1", mem="128m")
RING: Final = Path(__file__).with_name("ring.py")
PYTHON: Final = "/opt/kernel/bin/python3 -I -S -X utf8"
SSH_PORT: Final = 2200
# On which an engine in a swarm listens, on every address of its host.
SWARM_PORT: Final = 7946
VXLAN_PORT: Final = 4789
KNOCK: Final = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1.5).close()
except OSError as error:
    print(error)
else:
    print("open")
"""
SEND: Final = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], int(sys.argv[2])))
"""
# As `mpirun` does: a program on each host, begun from the main one by SSH.
LAUNCH: Final = """
import os, sys
sys.modules["ssl"] = None
sys.path.append("/opt/kernel/lib/runner-site")
import asyncio, asyncssh
source = {source!r}
async def run_on(host):
    async with asyncssh.connect(host, known_hosts=None) as connection:
        done = await connection.run("{command} -", input=source)
        return done.stdout + done.stderr
async def run():
    hosts = os.environ["BACKENDAI_CLUSTER_HOSTS"].split(",")
    print("".join(await asyncio.gather(*map(run_on, hosts))), end="")
asyncio.run(run())
"""
LOGIN: Final = """
import sys
sys.modules["ssl"] = None
sys.path.append("/opt/kernel/lib/runner-site")
import asyncio, asyncssh
async def log_in():
    for host in ("sub1", "sub2"):
        async with asyncssh.connect(host, known_hosts=None) as connection:
            print((await connection.run("echo $BACKENDAI_CLUSTER_HOST of $HOSTNAME")).stdout)
asyncio.run(log_in())
"""


@pytest.fixture(scope="module")
def swarm(running_rig: Rig) -> Iterator[None]:
    with run_swarm(running_rig):
        yield


def spread(hosts: Sequence[Host], **changes: Any) -> dict[str, Any]:
    """What a request for a session with a kernel on each of `hosts` says."""
    return {
        "kind": "busybox",
        "clusterMode": "multi-node",
        "clusterSize": len(hosts),
        "config": {**SMALL, "agentList": [host.agent_id for host in hosts]},
        **changes,
    }


def kernel_of(host: Host, session: str) -> str:
    """The name of its one container on a host."""
    [name] = host.containers(session)
    return name


def run_in(host: Host, container: str, *argv: str) -> str:
    """What a command of the kernel's user printed, run beside the kernel's programs; its exit code
    comes first."""
    with host.engine() as client:
        done = client.containers.get(container).exec_run(list(argv), user="1000:1000")
        assert isinstance(done.output, bytes)
        return f"{done.exit_code}: {done.output.decode()}"


def networks_of(host: Host, container: str) -> dict[str, Any]:
    """By name, each with the container's address and its gateway."""
    with host.engine() as client:
        details = client.api.inspect_container(container)
    return dict(details["NetworkSettings"]["Networks"])


def addresses_of(host: Host, session: str) -> list[str]:
    """Of its kernel on a host, in each network."""
    found = networks_of(host, kernel_of(host, session)).values()
    return [network["IPAddress"] for network in found]


def is_open(host: Host, container: str, address: str, port: int) -> bool:
    """Whether a kernel gets a connection."""
    said = run_in(host, container, *PYTHON.split(), "-c", KNOCK, address, str(port))
    assert said.startswith("0: "), said
    return said.strip() == "0: open"


def test_without_a_swarm_it_waits_and_says_what_to_do(rig: Rig, admin: Api) -> None:
    session = enqueue(admin, "alone", **spread(rig.hosts[:2]))

    def told() -> str:
        answer = admin.ask("GET", f"/session/{session}/why")
        text = str(find(admin, session)) if answer.status == 404 else answer.body.decode()
        return text if "swarm" in text else ""

    assert "docker swarm init" in until(told, "the session says what it waits for")
    end(admin, session)


def test_an_all_reduce_over_three_hosts(rig: Rig, admin: Api, swarm: None) -> None:
    session = start(admin, "ring", **spread(rig.hosts))
    assert list_networks(rig.hosts[0]) == [f"bai-{session}"]
    assert all(kernel_of(host, session) for host in rig.hosts)
    printed = execute(admin, session, LAUNCH.format(source=RING.read_text(), command=PYTHON))
    assert printed.split("\n") == [f"rank {rank} of 3: 111" for rank in range(3)] + [""]
    end(admin, session)
    await_clean(rig)


def test_kernels_log_into_each_other_without_a_password(rig: Rig, admin: Api, swarm: None) -> None:
    session = start(admin, "keyless", **spread(rig.hosts))
    until(lambda: log_in(admin, session), "main1 has been to the others")
    # And after a restart, in fresh containers of the same names.
    before = kernel_of(rig.hosts[1], session)
    assert admin.ask("PATCH", f"/session/{session}").status == 204
    await_status(admin, session, "RUNNING")
    assert kernel_of(rig.hosts[1], session) != before
    until(lambda: log_in(admin, session), "main1 has been to the others again")
    assert list_networks(rig.hosts[0]) == [f"bai-{session}"]
    end(admin, session)
    await_clean(rig)


def log_in(api: Api, session: str) -> bool:
    """The names of kernels on other hosts are known a moment after these run."""
    said = execute(api, session, LOGIN)
    if "resolution" in said:
        return False
    assert said.split("\n\n")[:2] == ["sub1 of sub1", "sub2 of sub2"], said
    return True


def test_roles_have_their_own_images_and_slots(rig: Rig, admin: Api, swarm: None) -> None:
    for host in rig.hosts:
        with host.engine() as client:
            client.images.get(IMAGES["busybox"]).tag("bai/worker", "latest")
    until(lambda: is_known(admin, "bai/worker:latest"), "the nodes tell of the second image")
    tasks = [
        create_template(admin, "session", task_template(name, image, cpu))
        for name, image, cpu in (
            ("lead", IMAGES["busybox"], "0.2"),
            ("work", "bai/worker:latest", "0.1"),
        )
    ]
    nodes = [
        {"cluster_role": "main", "session_template": tasks[0]},
        {"cluster_role": "sub", "session_template": tasks[1], "replicas": 2},
    ]
    cluster = {
        "api_version": "6",
        "kind": "clusterTemplate",
        "mode": "multi-node",
        "metadata": {"name": "roles"},
        "spec": {"environ": {"COLOUR": "blue"}, "nodes": nodes},
    }
    body = {
        "template_id": create_template(admin, "cluster", cluster),
        "name": "roles",
        "config": {"agentList": [host.agent_id for host in rig.hosts]},
    }
    answer = admin.ask("POST", "/session/_/create-cluster", body)
    assert (answer.status, answer.json()["status"]) == (201, "RUNNING"), answer
    session = answer.json()["sessionId"]
    found = []
    for host in rig.hosts:
        with host.engine() as client:
            details = client.api.inspect_container(kernel_of(host, session))
        found.append((details["Config"]["Image"], details["HostConfig"]["CpuQuota"]))
    assert [image for image, _ in found] == [IMAGES["busybox"], *["bai/worker:latest"] * 2]
    assert found[0][1] == 2 * found[1][1] == 2 * found[2][1]
    assert execute(admin, session, 'import os; print(os.environ["COLOUR"])') == "blue\n"
    end(admin, session)
    await_clean(rig)


def task_template(name: str, image: str, cpu: str) -> dict[str, Any]:
    return {
        "api_version": "6",
        "kind": "taskTemplate",
        "metadata": {"name": name},
        "spec": {"kernel": {"image": image}, "resources": {"cpu": cpu, "mem": "128m"}},
    }


def create_template(api: Api, kind: str, content: dict[str, Any]) -> str:
    """Its id. What is JSON is YAML, too."""
    body = {"payload": json.dumps(content), "group_name": "default", "domain_name": "default"}
    answer = api.ask("POST", f"/template/{kind}", body)
    assert answer.status == 200, answer
    return str(answer.json()[0]["id"])


def is_known(api: Api, image: str) -> bool:
    query = "query { images { name tag } }"
    found = ask_graph(api, query, {})["images"]
    return image in [f"{row['name']}:{row['tag']}" for row in found]


def is_guarded(host: Host) -> bool:
    return "-IN" in host.ok("iptables", "-w", "-S", "INPUT")


def test_nobody_else_is_in_reach(rig: Rig, admin: Api, swarm: None) -> None:
    first, second = rig.hosts[:2]
    session = start(admin, "inner", **spread([first, second]))
    other = start(admin, "outer", **spread([first, second]))
    own, sibling = kernel_of(first, session), kernel_of(second, session)
    # The rig has flushed what the agent comes round to make again.
    for host in (first, second):
        until(partial(is_guarded, host), f"the rules of {host.name}")
    inner = networks_of(second, sibling)[f"bai-{session}"]["IPAddress"]
    assert is_open(first, own, inner, SSH_PORT)
    # Neither kernels of another session on any host,
    for host in (first, second):
        for address in addresses_of(host, other):
            assert not is_open(first, own, address, SSH_PORT), address
    # nor its own host, which all networks that it is in lead away from,
    with first.engine() as client:
        [aside] = client.api.inspect_network("docker_gwbridge")["IPAM"]["Config"]
    ways = [network["Gateway"] for network in networks_of(first, own).values()]
    for gateway in filter(None, (aside["Gateway"], *ways)):
        assert not is_open(first, own, gateway, SWARM_PORT), gateway
    assert not is_open(first, own, first.address, SWARM_PORT)
    # nor the hosts themselves their kernels.
    for address in addresses_of(first, session):
        said = first.run("python3", "-c", KNOCK, address, str(SSH_PORT))
        assert said.out.strip() != "open", address
    end(admin, session)
    end(admin, other)
    await_clean(rig)


def test_no_kernel_is_in_a_network_that_no_rule_speaks_of(
    rig: Rig, admin: Api, swarm: None
) -> None:
    first, second = rig.hosts[:2]
    session = start(admin, "ruled", **spread([first, second]))
    own = kernel_of(first, session)
    with first.engine() as client:
        bridge = client.api.inspect_network("docker_gwbridge")
    assert not [one for one in bridge["Containers"].values() if one["Name"] == own]
    assert (
        sorted(name.rpartition("-")[2] for name in networks_of(first, own))
        == [session.rpartition("-")[2]] * 2
    )
    # What nodes of a swarm would take for each other's does not leave the host.
    assert run_in(first, own, *PYTHON.split(), "-c", SEND, second.address, str(VXLAN_PORT)) == "0: "
    rules = first.ok("iptables", "-w", "-n", "-v", "-x", "-L")
    [dropped] = [line.split() for line in rules.splitlines() if f"dpt:{VXLAN_PORT}" in line]
    assert (dropped[0], dropped[2]) == ("1", "DROP")
    end(admin, session)
    await_clean(rig)


def test_a_dead_sub_kernel_degrades_and_a_dead_main_one_ends_a_session(
    rig: Rig, admin: Api, swarm: None
) -> None:
    session = start(admin, "mortal", **spread(rig.hosts))
    kill(rig.hosts[2], session)
    await_status(admin, session, "RUNNING_DEGRADED")
    assert execute(admin, session, "print(6 * 7)") == "42\n"
    kill(rig.hosts[0], session)
    ended = await_status(admin, session, "TERMINATED")
    assert ended["status_info"], ended
    await_clean(rig)


def kill(host: Host, session: str) -> None:
    with host.engine() as client:
        client.api.kill(kernel_of(host, session))


def test_a_cluster_that_cannot_start_whole_is_taken_back(rig: Rig, admin: Api, swarm: None) -> None:
    last = rig.hosts[2]
    rules = ("-p", "tcp", "--dport", "2377", "-j", "REJECT")
    last.ok("iptables", "-w", "-I", "OUTPUT", *rules)
    with last.engine() as client:
        client.api.remove_image("bai/busybox:latest", force=True)
    try:
        session = enqueue(admin, "halved", **spread(rig.hosts))
        ended = await_status(admin, session, "CANCELLED", "TERMINATED")
        assert ended["status_info"] == "failed-to-start", ended
        await_clean(rig)
    finally:
        last.ok("iptables", "-w", "-D", "OUTPUT", *rules)
        rig.provide("bai/busybox:latest")


@pytest.mark.parametrize(
    "place",
    [
        "agent.docker.before_cluster_network",
        "agent.docker.after_cluster_network",
        "agent.docker.before_attach",
        "agent.docker.after_attach",
    ],
)
def test_an_agent_killed_on_the_way_leaves_nothing_and_goes_on(
    rig: Rig, admin: Api, swarm: None, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    first, second = rig.hosts[:2]
    armed = {**first.environ, "BAI_FAILPOINTS": f"{place}:kill"}
    first.kill_agent()
    with monkeypatch.context() as patch:
        patch.setattr(Host, "environ", property(lambda _: armed))
        first.start_agent()
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")
    session = enqueue(admin, "cut", **spread([first, second]))
    until(lambda: not first.has_agent, "the agent was killed on the way")
    first.start_agent()
    await_status(admin, session, "RUNNING")
    assert execute(admin, session, "print(6 * 7)") == "42\n"
    end(admin, session)
    await_clean(rig)


def test_a_session_ends_whole_when_its_lost_node_is_back(rig: Rig, admin: Api, swarm: None) -> None:
    first, last = rig.hosts[0], rig.hosts[2]
    session = start(admin, "parted", **spread([first, last]))
    last.kill()
    assert admin.ask("DELETE", f"/session/{session}").status == 200
    await_status(admin, session, "TERMINATING", "ERROR")
    until(lambda: not first.containers(session), "the kernel that can be reached has ended")
    # The other may run on as far as anybody knows: its network stays as well.
    assert list_networks(first) == [f"bai-{session}"]
    rig.mend(admin)
    await_status(admin, session, "TERMINATED", seconds=120.0)
    await_clean(rig)
