"""A host that is taken out for maintenance, and back: nothing new comes, what runs ends."""

import subprocess

from tests.hosts.placing import place, place_batch
from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import await_status, end, execute, find
from tests.running.stack import COMMAND
from tests.running.waiting import until


def test_a_drained_host_gets_nothing_new_and_what_runs_there_ends_by_itself(
    rig: Rig, admin: Api
) -> None:
    host, other, _ = rig.hosts
    gate = "while [ ! -e go ]; do sleep 0.2; done; echo done"
    running = place_batch(admin, "to-its-end", host, gate)
    await_status(admin, running, "RUNNING")
    argv = [str(COMMAND), "admin", "agent", "drain", host.agent_id, "--max-wait", "10m"]
    environ = rig.stack.environ | rig.stack.credentials("admin")
    drain = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(lambda: not rig.is_schedulable(admin, host), "the host is paused")
        waiting = place_batch(admin, "waits-for-the-host", host, "true")
        elsewhere = place(admin, "elsewhere", other)
        assert find(admin, waiting)["status"] == "PENDING"
        assert rig.host_of(elsewhere) is other
        assert rig.host_of(running) is host
        assert drain.poll() is None
        host.ok("docker", "exec", *host.containers(running), "touch", "/home/work/go")
        assert await_status(admin, running, "TERMINATED")["result"] == "SUCCESS"
        printed, _ = drain.communicate(timeout=90)
    finally:
        drain.kill()
    assert drain.returncode == 0, printed
    until(lambda: not host.containers(), "nothing is left there")
    assert find(admin, waiting)["status"] == "PENDING"
    rig.stack.ok("admin", "agent", "resume", host.agent_id, who="admin")
    await_status(admin, waiting, "TERMINATED")
    end(admin, elsewhere)


def test_an_agent_that_is_restarted_for_its_upgrade_keeps_what_runs(rig: Rig, admin: Api) -> None:
    host = rig.hosts[1]
    session = place(admin, "kept", host)
    execute(admin, session, "x = 41")
    containers = host.containers(session)
    host.stop_agent()
    host.start_agent()
    until(lambda: execute(admin, session, "print(x + 1)") == "42\n", "it answers as before")
    assert host.containers(session) == containers
