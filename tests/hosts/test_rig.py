"""Three hosts of one cluster: each runs sessions, and none sees what belongs to another."""

from tests.hosts.placing import place
from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import execute


def test_each_host_runs_a_session(rig: Rig, admin: Api) -> None:
    for host in rig.hosts:
        session = place(admin, f"on-{host.name}", host)
        assert execute(admin, session, "print(6 * 7)") == "42\n"
        assert rig.host_of(session) is host
