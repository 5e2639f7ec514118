"""A second machine becomes a node by the guide, runs sessions, and goes on without the first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.operated.conftest import Machines, end_sessions, follow
from tests.e2e.operated.test_systemd import AS_ADMIN, UNITS, container_of, value_of
from tests.e2e.operated.test_uninstall import ACCOUNTS, LEFT
from tests.running.machine import Machine
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

AS_MANAGER: Final = "runuser -u backendai -- backendai mgr"
# As where folders are on NFS.
MOUNT: Final = """
touch /vfroot/local/kept
mount --bind /vfroot/local /vfroot/local
echo '/vfroot/local /vfroot/local none bind 0 0' >> /etc/fstab
"""
STORES: Final = "postgresql redis-server etcd"


@pytest.fixture(scope="module")
def node(installed: Machine, machines: Machines, folders: Path) -> Iterator[Machine]:
    with machines(folders) as found:
        addresses = {"FIRST": installed.address, "HERE": found.address}
        end_sessions(installed)
        follow(installed, "several-nodes#The first machine", **addresses)
        follow(found, "os")
        token = installed.ok(f"{AS_ADMIN} backendai admin agent join-token").strip()
        follow(found, "several-nodes#A node", TOKEN=token, **addresses)
        yield found


def test_a_session_runs_on_the_second_machine(installed: Machine, node: Machine) -> None:
    first, second = (f"i-{machine.ok('hostname').strip()}" for machine in (installed, node))
    until(lambda: second in installed.ok(f"{AS_MANAGER} agent list"), "the manager knows the node")
    installed.ok(f"{AS_MANAGER} agent pause {first}")
    installed.ok(f"{AS_ADMIN} backendai vfolder create both")
    create = f"{AS_ADMIN} backendai session create --name afar -r cpu=1 -r mem=256m -v both"
    until(lambda: installed.run(create).code == 0, "the node is ready")
    code = "open('both/afar', 'w').write('seen')"
    installed.ok(f'{AS_ADMIN} backendai session exec afar -c "{code}"')
    assert installed.ok("find /vfroot/local -name afar -printf '%U:%G %s'") == "2000:2000 4"
    assert node.ok("docker ps --quiet --filter label=bai.kernel").strip()
    installed.ok(f"{AS_ADMIN} backendai session terminate afar")
    installed.ok(f"{AS_MANAGER} agent resume {first}")
    installed.ok(f"{AS_MANAGER} agent pause {second}")


@pytest.fixture
def session(installed: Machine, node: Machine) -> Iterator[str]:
    """On the second machine, with something in its memory."""
    first, second = (f"i-{machine.ok('hostname').strip()}" for machine in (installed, node))
    installed.ok(f"{AS_MANAGER} agent pause {first}")
    installed.ok(f"{AS_MANAGER} agent resume {second}")
    create = f"{AS_ADMIN} backendai session create --name stays -r cpu=1 -r mem=256m"
    until(lambda: installed.run(create).code == 0, "the node is ready")
    installed.ok(f"{AS_ADMIN} backendai session exec stays -c 'x = 40'")
    yield "stays"
    end_sessions(installed)
    installed.ok(f"{AS_MANAGER} agent resume {first}")


@pytest.fixture
def brought(installed: Machine, session: str, folders: Path) -> Iterator[Path]:
    """What is left of the first machine's control plane: an archive, its settings, and the keys
    that a person has."""
    place = folders / f"brought-with-{session}"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    inside = f"/vfroot/{place.name}"
    installed.ok(f"{AS_MANAGER} backup {inside}/cluster.tar.gz")
    installed.ok(f"cp /etc/backend.ai/manager.toml /etc/backend.ai/env-admin.sh {inside}")
    daemons = " ".join(f"backendai-{unit}" for unit in UNITS)
    installed.ok(f"systemctl stop {daemons} {STORES}")
    yield place
    installed.ok(f"systemctl start {STORES} {daemons}")


def test_all_goes_on_with_a_control_plane_on_a_third_machine(
    node: Machine, session: str, brought: Path, machines: Machines, folders: Path
) -> None:
    before = container_of(node)
    with machines(folders) as new:
        follow(new, "os", "database", "cache", "config-service")
        new.ok(f"cp /vfroot/{brought.name}/* /root; cp /root/env-admin.sh /etc/backend.ai")
        follow(new, "../backup#When everything is lost", NEW=new.address)
        assert value_of(new, session) == "42"
        token = new.ok(f"{AS_ADMIN} backendai admin agent join-token").strip()
        follow(node, "../backup#The way to the new machine", NEW=new.address, TOKEN=token)
        name = node.ok("hostname").strip()
        announced = {f"nodes/{kind}/i-{name}" for kind in ("agents", "watchers")}
        list_nodes = f"{AS_MANAGER} etcd ls nodes/"
        until(lambda: announced <= set(new.ok(list_nodes).split()), "it says where it is")
        assert value_of(new, session) == "42"
        assert container_of(node) == before
        new.ok(f"{AS_ADMIN} backendai session terminate {session}")
        create = f"{AS_ADMIN} backendai session create --name anew -r cpu=1 -r mem=256m"
        until(lambda: new.run(create).code == 0, "a session starts")
        assert new.ok(f"{AS_ADMIN} backendai session exec anew -c 'print(6 * 7)'") == "42\n"
        new.ok(f"{AS_ADMIN} backendai session terminate anew")
        take_off(node, new)


def take_off(node: Machine, manager: Machine) -> None:
    """Nothing is left on the node but the folders, which are everybody's."""
    name = f"i-{node.ok('hostname').strip()}"
    node.ok(MOUNT)
    manager.ok(f"{AS_ADMIN} backendai admin agent drain {name} --max-wait 3m")
    follow(node, "uninstall#A node")
    assert node.run("mountpoint --quiet /vfroot/local").code != 0
    assert "/vfroot" not in node.ok("cat /etc/fstab")
    assert node.ok("ls /vfroot/local/kept")
    assert node.ok(LEFT) == ""
    assert node.ok(ACCOUNTS) == ""
    assert "bai" not in node.ok("iptables-save")
    fence = f"{AS_MANAGER} agent fence {name} --yes"
    until(lambda: manager.run(fence).code == 0, "it has been silent for long enough")
    (line,) = (line for line in manager.ok(f"{AS_MANAGER} agent list").splitlines() if name in line)
    assert "TERMINATED" in line
