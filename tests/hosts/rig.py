"""Three hosts and a control plane: what several machines of a cluster are to each other.

The control plane is a `./bai up` whose own agent gets no sessions; the hosts reach it at the
machine's address on their bridge, and have no way to anything else.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backendai.common.settings.render import render_toml
from backendai.halfstack.control import await_healthy, ensure_services, stop_services
from backendai.halfstack.daemons import Core, specify_manager
from backendai.halfstack.engine import remove_cgroups, remove_tree
from backendai.halfstack.images import BUSYBOX
from backendai.halfstack.places import write_file
from backendai.halfstack.ports import keep_watch_port
from tests.hosts.host import Host
from tests.hosts.network import Bridge, is_owner_alive, locked, name_owner, remove_stale_bridges
from tests.running.fixtures import find_port
from tests.running.leftovers import find_leftovers
from tests.running.rest import Api
from tests.running.sessions import ask_graph
from tests.running.stack import Stack
from tests.running.waiting import PATIENCE_SECONDS, until

PREFIX: Final = "bai-hosts-"
HOSTS: Final = 3
# Of a manager: how long silence is borne before a node is SUSPECT, and before it is LOST.
PATIENCE: Final = {"heartbeat-timeout": 8.0, "agent-lost-after": 20.0}
STORES: Final = ("postgres", "valkey", "etcd")
_OWNER: Final = "owner"
_AGENTS: Final = "query { agents { id status schedulable } }"


@dataclass(frozen=True)
class Rig:
    folder: Path
    stack: Stack
    bridge: Bridge
    hosts: Sequence[Host]

    def host_of(self, session_id: str) -> Host:
        """The one host where containers of a session are."""
        found = [host for host in self.hosts if host.is_up and host.containers(session_id)]
        assert len(found) == 1, f"{session_id} is on {[host.name for host in found]}"
        return found[0]

    def statuses(self, api: Api) -> dict[str, str]:
        """Of the agents of all hosts. `api` is a superadmin's."""
        names = {host.agent_id for host in self.hosts}
        rows = ask_graph(api, _AGENTS, {})["agents"]
        return {row["id"]: row["status"] for row in rows if row["id"] in names}

    def are_alive(self, api: Api) -> bool:
        found = self.statuses(api)
        return len(found) == len(self.hosts) and set(found.values()) == {"ALIVE"}

    def is_schedulable(self, api: Api, host: Host) -> bool:
        rows = {row["id"]: row for row in ask_graph(api, _AGENTS, {})["agents"]}
        return bool(rows[host.agent_id]["schedulable"])

    def operate(self, *words: str) -> str:
        """`backendai mgr …`, as an operator on the manager's machine. Returns what it printed."""
        config = str(self.stack.layout.etc / "manager.toml")
        return self.stack.ok("mgr", *words, "-f", config)

    def provide(self, name: str) -> None:
        """Bring an image of the stack's own engine into the hosts': the very same, by its id."""
        with self.stack.engine() as client:
            saved = b"".join(client.images.get(name).save(named=True))
        for host in self.hosts:
            host.load(saved)

    def manage(self) -> None:
        """Run the stack's manager, which here bears silence for seconds instead of minutes."""
        layout, settings = self.stack.layout, self.stack.settings("manager")
        settings["manager"] |= PATIENCE
        write_file(layout.etc / "manager.toml", render_toml(settings))
        port = settings["manager"]["service-addr"]["port"]
        core = Core(layout, self.stack.stores, port, keep_watch_port(layout, "manager"))

        async def ensure() -> None:
            await ensure_services(layout, [specify_manager(core, STORES)])
            await await_healthy(layout, ["manager"], PATIENCE_SECONDS)

        asyncio.run(ensure())

    def unmanage(self) -> None:
        """Stop the stack's manager."""
        asyncio.run(stop_services(self.stack.layout, ["manager"]))

    def mend(self, api: Api) -> None:
        """Power and agents where they lack, no packets lost, and earlier silences forgiven."""
        for host in self.hosts:
            if not host.is_up:
                host.boot()
            host.join_again()
            if not host.has_agent:
                host.start_agent()
        rows = ask_graph(api, _AGENTS, {})["agents"]
        ready = {row["id"] for row in rows if row["schedulable"] and row["status"] == "ALIVE"}
        for host in self.hosts:
            if host.agent_id not in ready:
                self.operate("agent", "resume", host.agent_id)


@contextmanager
def run_rig() -> Iterator[Rig]:
    """A whole one. What a killed run left is removed first, and nothing is left at the end."""
    remove_stale_rigs()
    remove_stale_bridges()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o711)
    (folder / _OWNER).write_text(name_owner())
    bridge, stack = Bridge(), _make_stack(folder)
    mark = secrets.token_hex(3)
    hosts = [Host(f"h{n}-{mark}", n, folder / f"h{n}", bridge, stack) for n in range(1, HOSTS + 1)]
    rig = Rig(folder, stack, bridge, hosts)
    try:
        _start(rig)
        yield rig
    finally:
        for host in hosts:
            host.remove()
        bridge.remove()
        left = _remove_folder(folder)
    assert not left, left


def remove_stale_rigs() -> None:
    """Those of test runs that were killed; their hosts ended with them."""
    with locked():
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            owner = folder / _OWNER
            if owner.exists() and not is_owner_alive(owner.read_text()):
                _remove_folder(folder)


def _make_stack(folder: Path) -> Stack:
    stack = Stack(folder / "up")
    # Two instances that start at once must not both wait for the usual port.
    stack.config.write_text(f"[manager]\nport = {find_port()}\n")
    return stack


def _start(rig: Rig) -> None:
    done = rig.stack.bai("up", "--no-install", seconds=900)
    assert done.code == 0, done.both
    rig.stack.ok("admin", "agent", "pause", f"i-{rig.stack.layout.instance}", who="admin")
    rig.manage()
    _open_database(rig)
    for host in rig.hosts:
        host.boot()
        host.configure()
        host.start_agent()
    rig.provide(BUSYBOX.name)
    admin = rig.stack.api("admin")
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")
    admin.close()


def _open_database(rig: Rig) -> None:
    """To managers on the hosts."""
    rules = rig.stack.layout.data / "postgres" / "pg_hba.conf"
    with rules.open("a") as file:
        file.write(f"host all all {rig.bridge.address_of(0)}/24 scram-sha-256\n")
    rig.stack.query("SELECT pg_reload_conf()")


def _remove_folder(folder: Path) -> list[str]:
    """Returns what is left of its stack."""
    stack = _make_stack(folder) if not (folder / "up").exists() else Stack(folder / "up")
    purged = stack.bai("down", "--purge")
    left = find_leftovers(stack.home)
    for group in folder.glob("*/group"):
        remove_cgroups(group.read_text())
    remove_tree(folder)
    return left if purged.code == 0 else [purged.both, *left]
