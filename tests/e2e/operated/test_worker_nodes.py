"""A second machine becomes a node by the guide, and runs sessions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from backendai.halfstack.images import PYTHON
from tests.e2e.operated.conftest import Machines, end_sessions, follow
from tests.running.machine import Machine
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

AS_ADMIN: Final = f". /etc/backend.ai/env-admin.sh; export BACKENDAI_IMAGE={PYTHON.name}; "


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
    as_manager = "runuser -u backendai -- backendai mgr agent"
    until(lambda: second in installed.ok(f"{as_manager} list"), "the manager knows the node")
    installed.ok(f"{as_manager} pause {first}")
    installed.ok(f"{AS_ADMIN} backendai vfolder create both")
    create = f"{AS_ADMIN} backendai session create --name afar -r cpu=1 -r mem=256m -v both"
    until(lambda: installed.run(create).code == 0, "the node is ready")
    code = "open('both/afar', 'w').write('seen')"
    installed.ok(f'{AS_ADMIN} backendai session exec afar -c "{code}"')
    assert installed.ok("find /vfroot/local -name afar -printf '%U:%G %s'") == "2000:2000 4"
    assert node.ok("docker ps --quiet --filter label=bai.kernel").strip()
    installed.ok(f"{AS_ADMIN} backendai session terminate afar")
    installed.ok(f"{as_manager} resume {first}")
    installed.ok(f"{as_manager} pause {second}")
