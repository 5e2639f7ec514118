"""The control plane is lost with its machine; another machine begins with a backup alone.

Nodes keep their containers meanwhile. Two ways lead them to the new machine: it takes over the
address of the old one, or each node is told another, by joining again or in its settings.
"""

import shutil
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from backendai.common.settings.render import render_toml
from backendai.halfstack.accounts import Account
from tests.hosts.host import Host
from tests.hosts.machine import Machine
from tests.hosts.membership import join, lent
from tests.hosts.placing import place
from tests.hosts.plane import Plane
from tests.hosts.rig import HOSTS, Rig
from tests.running.rest import Api
from tests.running.sessions import ask_graph, await_status, end_all, execute, history
from tests.running.waiting import until

OLD, NEW = HOSTS + 1, HOSTS + 2
_AGENTS = "query { agents { id status } }"
MakePlane = Callable[..., Plane]


@pytest.fixture
def nodes(rig: Rig) -> Iterator[Sequence[Host]]:
    """Two hosts that are nodes of no cluster; the rig goes on without them."""
    with ExitStack() as stack:
        for host in rig.hosts[:2]:
            stack.enter_context(lent(host))
        yield rig.hosts[:2]


@pytest.fixture
def make_plane(rig: Rig) -> Iterator[MakePlane]:
    """A control plane with empty stores, on a machine with that number."""
    made: list[Plane] = []

    def make(name: str, number: int, etcd_port: int | None = None) -> Plane:
        plane = Plane(Machine(name, number, rig.folder / name, rig.bridge), etcd_port)
        made.append(plane)
        plane.start_stores()
        return plane

    yield make
    for plane in made:
        plane.lose()


@pytest.fixture
def old(make_plane: MakePlane, nodes: Sequence[Host]) -> Plane:
    """The one that will be lost; the nodes are its own."""
    plane = make_plane("old", OLD)
    plane.install()
    plane.start_manager()
    who = plane.first_admin()
    join_all(nodes, plane, who)
    with closing(plane.api(who)) as api:
        until(lambda: are_alive(api, nodes), "the nodes are ALIVE")
    return plane


def join_all(nodes: Sequence[Host], plane: Plane, who: Account) -> None:
    """As the documents tell it: also for nodes that have joined another manager before."""
    for host in nodes:
        if host.has_agent:
            host.stop_agent()
        token = plane.administer(who, "agent", "join-token").strip()
        done = join(host, plane.endpoint, token)
        assert done.code == 0, done.both
        host.start_agent()


def name_etcd(host: Host, plane: Plane) -> None:
    """What a tool does that writes the settings of nodes."""
    file = host.etc / "agent.toml"
    settings = tomllib.loads(file.read_text())
    settings["etcd"]["addr"] = {"host": plane.machine.address, "port": plane.etcd_port}
    file.write_text(render_toml(settings))
    host.stop_agent()
    host.start_agent()


def are_alive(api: Api, nodes: Sequence[Host]) -> bool:
    rows = {row["id"]: row["status"] for row in ask_graph(api, _AGENTS, {})["agents"]}
    return all(rows.get(host.agent_id) == "ALIVE" for host in nodes)


def begin_anew(new: Plane, archive: Path) -> None:
    """With an archive of what was lost, and a `manager.toml`."""
    new.configure()
    brought = Path(shutil.copy(archive, new.machine.folder))
    new.operate("restore", str(brought), "--yes")
    new.start_manager()


@pytest.mark.parametrize("takes_over", [True, False], ids=["its-address", "another-address"])
def test_a_cluster_goes_on_with_a_control_plane_on_another_machine(
    nodes: Sequence[Host], old: Plane, make_plane: MakePlane, tmp_path: Path, takes_over: bool
) -> None:
    first, second = nodes
    who, archive = old.first_admin(), tmp_path / "cluster.tar.gz"
    with closing(old.api(who)) as api:
        kept, ended = place(api, "kept", first), place(api, "ended", second)
        execute(api, kept, "x = 40")
        containers, begun = first.containers(kept), history(api, kept)
    old.operate("backup", str(archive))
    old.lose()
    second.ok("docker", "kill", *second.containers(ended))

    new = make_plane("new", *((OLD, old.etcd_port) if takes_over else (NEW,)))
    begin_anew(new, archive)
    with closing(new.api(who)) as api:
        # The archive says where nodes are, and they know the restored key: nothing was done there.
        until(lambda: are_alive(api, nodes), "the nodes are ALIVE")
        assert execute(api, kept, "print(x + 2)") == "42\n"
        await_status(api, ended, "TERMINATED")
        if not takes_over:
            assert new.announced() == set()
            join_all([first], new, who)
            name_etcd(second, new)
        until(lambda: new.announced() == {host.agent_id for host in nodes}, "they say where")
        until(lambda: execute(api, kept, "print(x + 2)") == "42\n", "it answers as before")
        assert first.containers(kept) == containers
        assert history(api, kept) == begun
        for host in nodes:
            anew = place(api, f"on-{host.name}", host)
            assert execute(api, anew, "print(6 * 7)") == "42\n"
        end_all(api)
        until(lambda: not any(host.containers() for host in nodes), "no container is left")
