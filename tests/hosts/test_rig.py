"""Three hosts of one cluster: each runs sessions, and none sees what belongs to another."""

from typing import Final

from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import execute, resources, start

SMALL: Final = resources(cpu="0.1", mem="64m")


def test_each_host_runs_a_session(rig: Rig, admin: Api) -> None:
    for host in rig.hosts:
        place = {**SMALL, "agent_list": [host.agent_id]}
        session = start(admin, f"on-{host.name}", kind="busybox", config=place)
        assert execute(admin, session, "print(6 * 7)") == "42\n"
        assert rig.host_of(session) is host
