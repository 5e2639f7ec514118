"""A machine joins the cluster with one command, as an operator does it; what is wrong is told."""

import stat
import tomllib
from collections.abc import Iterator

import pytest

from backendai.common.settings.render import render_toml
from tests.hosts.host import RPC_PORT, Cut, Host
from tests.hosts.membership import join as join_at
from tests.hosts.membership import lent
from tests.hosts.placing import place
from tests.hosts.rig import Rig
from tests.running.rest import Api
from tests.running.sessions import end, execute
from tests.running.stack import COMMAND, Done
from tests.running.waiting import until


@pytest.fixture
def fresh(rig: Rig) -> Iterator[Host]:
    """A host that is no node any more."""
    with lent(rig.hosts[2]):
        yield rig.hosts[2]


def make_token(rig: Rig, *words: str) -> str:
    return rig.stack.ok("admin", "agent", "join-token", *words, who="admin").strip()


def manager_of(rig: Rig) -> str:
    """As a host names it."""
    port = rig.stack.settings("manager")["manager"]["service-addr"]["port"]
    return f"http://{rig.bridge.address}:{port}"


def join(rig: Rig, host: Host, token: str, *words: str, **environ: str) -> Done:
    return join_at(host, manager_of(rig), token, *words, **environ)


def test_a_machine_joins_with_one_command_and_runs_a_session(
    rig: Rig, admin: Api, fresh: Host
) -> None:
    token = make_token(rig, "--resource-group", "default", "--expires", "10m")
    done = join(rig, fresh, token)
    assert done.code == 0, done.both
    assert "systemctl enable --now backendai-agent.service" in done.out
    written = tomllib.loads((fresh.etc / "agent.toml").read_text())
    assert written["agent"]["resource-group"] == "default"
    assert written["etcd"]["addr"]["host"] == rig.bridge.address
    assert written["container"]["docker-host"] == "unix:///run/docker.sock"
    for name in ("agent.toml", "agent.key", "manager-keys"):
        assert stat.S_IMODE((fresh.etc / name).stat().st_mode) == 0o600, name
    fresh.start_agent()
    until(lambda: rig.are_alive(admin), "the new node is ALIVE")
    session = place(admin, "on-the-new-node", fresh)
    assert execute(admin, session, "print(6 * 7)") == "42\n"
    assert rig.host_of(session) is fresh
    end(admin, session)


def test_it_is_repeated_after_a_crash_with_the_same_key(rig: Rig, fresh: Host) -> None:
    token = make_token(rig)
    assert join(rig, fresh, token).code == 0
    key = (fresh.etc / "agent.key").read_text()
    (fresh.etc / "agent.toml").unlink()
    (fresh.etc / "manager-keys").unlink()
    assert join(rig, fresh, token).code == 0
    assert (fresh.etc / "agent.key").read_text() == key


def test_another_machine_does_not_join_by_a_token_that_was_used(rig: Rig, fresh: Host) -> None:
    token = make_token(rig)
    assert join(rig, fresh, token).code == 0
    (fresh.etc / "agent.toml").unlink()
    used = join(rig, fresh, token, "--id", "i-other")
    assert used.code == 1
    assert f"was used by {fresh.agent_id}" in used.err


def test_the_token_may_come_by_stdin_and_is_told_nowhere(rig: Rig, fresh: Host) -> None:
    token = make_token(rig)
    argv = [str(COMMAND), "ag", "join", manager_of(rig), "-", "-f", str(fresh.etc / "agent.toml")]
    done = fresh.run("sh", "-c", f"printf '%s\\n' {token} | {' '.join(argv)}")
    assert done.code == 0, done.both
    assert token not in done.both
    places = [rig.stack.layout.log, fresh.etc]
    files = [file for folder in places for file in folder.rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert token not in file.read_text(errors="replace"), file


def test_each_thing_that_can_be_wrong_is_told(rig: Rig, fresh: Host) -> None:
    token = make_token(rig)
    wrong = join(rig, fresh, "join-nonsense")
    assert (wrong.code, "No such token" in wrong.err) == (1, True), wrong.both
    assert join(rig, fresh, "", BACKEND_JOIN_TOKEN="").code == 2

    closed = join(rig, fresh, token, "--etcd", f"{rig.bridge.address}:9")
    assert (closed.code, "etcd does not answer" in closed.err) == (1, True), closed.both

    listening = rig.hosts[0]
    taken = join(rig, listening, token)
    assert (taken.code, "has joined already" in taken.err) == (1, True), taken.both

    fresh.ok("iptables", "-w", "-I", "INPUT", "-p", "tcp", "--dport", str(RPC_PORT), "-j", "DROP")
    deaf = join(rig, fresh, token)
    fresh.ok("iptables", "-w", "-D", "INPUT", "-p", "tcp", "--dport", str(RPC_PORT), "-j", "DROP")
    assert (deaf.code, f":{RPC_PORT}" in deaf.err) == (1, True), deaf.both
    assert "no answer" in deaf.err

    fresh.cut_off(Cut.BOTH)
    lonely = join(rig, fresh, token)
    fresh.join_again()
    assert (lonely.code, "does not answer" in lonely.err) == (1, True), lonely.both

    other = {"etcd": {"addr": "10.9.9.9:2379"}}
    mine = (fresh.etc / "agent.toml").read_text()
    (fresh.etc / "agent.toml").write_text(render_toml(other))
    elsewhere = join(rig, fresh, token)
    (fresh.etc / "agent.toml").write_text(mine)
    assert (elsewhere.code, "another cluster" in elsewhere.err) == (1, True), elsewhere.both

    # Nothing of all that has spoilt the token for the one that it was used by.
    assert join(rig, fresh, token).code == 0
