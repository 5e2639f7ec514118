"""A host that is cut off, both ways or one way, for longer than silence is borne: what runs goes
on, what was ordered meanwhile is done, and afterwards all say the same."""

import pytest

from tests.hosts.host import Cut
from tests.hosts.placing import place
from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import await_status, execute, find, history
from tests.running.waiting import until


@pytest.mark.parametrize("cut", list(Cut))
def test_what_runs_on_a_host_that_is_cut_off_goes_on_and_is_adopted(
    rig: Rig, admin: Api, cut: Cut
) -> None:
    host, other, _ = rig.hosts
    kept, unwanted = place(admin, "kept", host), place(admin, "unwanted", host)
    execute(admin, kept, "x = 41")
    containers, begun = host.containers(kept), history(admin, kept)
    host.cut_off(cut)
    until(lambda: rig.statuses(admin)[host.agent_id] == "LOST", "the host counts as lost")
    assert find(admin, kept)["status"] == "RUNNING"
    assert host.containers(kept) == containers
    assert rig.host_of(place(admin, "meanwhile", other)) is other
    assert admin.ask("DELETE", f"/session/{unwanted}").status == 200
    assert find(admin, unwanted)["status"] in ("TERMINATING", "ERROR")
    assert host.containers(unwanted)
    host.join_again()
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")
    await_status(admin, unwanted, "TERMINATED")
    assert not host.containers(unwanted)
    assert execute(admin, kept, "print(x + 1)") == "42\n"
    assert host.containers(kept) == containers
    assert history(admin, kept) == begun
    until(lambda: not rig.stack.drift(), "rows and reports say the same")
