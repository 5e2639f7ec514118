"""A host that is lost, and one that comes back: nothing is started twice, and users are told."""

from tests.hosts.placing import place
from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import await_status, end, execute, find, history
from tests.running.waiting import until


def test_a_host_that_lost_its_power_keeps_its_sessions_until_somebody_gives_it_up(
    rig: Rig, admin: Api
) -> None:
    host, other, _ = rig.hosts
    session, unhurt = place(admin, "lost", host), place(admin, "unhurt", other)
    host.kill()
    until(lambda: rig.statuses(admin)[host.agent_id] == "LOST", "the host counts as lost")
    # It may stand behind a broken cable: what runs there is neither ended nor begun anew.
    assert find(admin, session)["status"] == "RUNNING"
    assert host.agent_id in rig.stack.ok("session", "why", session, who="admin")
    assert execute(admin, unhurt, "print(1)") == "1\n"
    rig.operate("agent", "fence", host.agent_id, "--yes")
    told = await_status(admin, session, "TERMINATED")
    assert told["status_info"] == "agent-lost"
    place(admin, "lost", other)
    host.boot()
    host.start_agent()
    until(lambda: "node.registered" in host.log, "its agent is back")
    assert rig.statuses(admin)[host.agent_id] == "TERMINATED"
    rig.operate("agent", "resume", host.agent_id)
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")
    until(lambda: not host.containers(session), "what it ran before is cleared away")
    end(admin, place(admin, "anew", host))


def test_what_ended_with_the_power_is_told_when_the_host_is_back(rig: Rig, admin: Api) -> None:
    host = rig.hosts[1]
    session = place(admin, "power-cut", host)
    host.kill()
    host.boot()
    host.start_agent()
    told = await_status(admin, session, "TERMINATED", seconds=90)
    assert told["status_info"], told
    until(lambda: not any(one.containers(session) for one in rig.hosts), "its container is gone")


def test_containers_outlive_their_agent_and_are_adopted_however_late_it_returns(
    rig: Rig, admin: Api
) -> None:
    host = rig.hosts[2]
    session = place(admin, "adopted", host)
    execute(admin, session, "x = 41")
    containers, begun = host.containers(session), history(admin, session)
    host.kill_agent()
    until(lambda: rig.statuses(admin)[host.agent_id] == "LOST", "the host counts as lost")
    assert host.containers(session) == containers
    host.start_agent()
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")
    assert execute(admin, session, "print(x + 1)") == "42\n"
    assert host.containers(session) == containers
    assert history(admin, session) == begun
