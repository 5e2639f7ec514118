"""A control plane on a machine of its own beside the rig's: stores and a manager, to be lost."""

import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from typing import Final

import psutil

from backendai.common.settings.render import render_toml
from backendai.halfstack.accounts import Account, compose_fixture, load_accounts
from backendai.halfstack.control import await_healthy, ensure_services, find_standings
from backendai.halfstack.daemons import (
    RELAY_SECRET,
    Core,
    render_manager_config,
    specify_manager,
    write_manager_config,
)
from backendai.halfstack.places import Layout, write_file
from backendai.halfstack.ports import keep_ports, keep_watch_port
from backendai.halfstack.services import Service
from backendai.halfstack.stores import ExternalStores, list_addresses, prepare_stores
from tests.hosts.machine import Machine
from tests.hosts.rig import PATIENCE, STORES
from tests.running.rest import Api
from tests.running.stack import COMMAND, run
from tests.running.waiting import PATIENCE_SECONDS, until

_NODES: Final = "nodes/agents/"


class Plane:
    """Its daemons listen on the machine's loopback, where its other addresses lead to."""

    def __init__(self, machine: Machine, etcd_port: int | None = None) -> None:
        self.machine = machine
        self.layout = Layout(machine.folder / "home")
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.layout.make()
        self.etcd_port = keep_ports(self.layout, {"etcd": etcd_port})["etcd"]
        port = keep_ports(self.layout, {"manager": None})["manager"]
        self._core = Core(
            self.layout,
            list_addresses(self.layout, ExternalStores()),
            port,
            keep_watch_port(self.layout, "manager"),
        )

    @property
    def endpoint(self) -> str:
        """As others find it."""
        return f"http://{self.machine.address}:{self._core.manager_port}"

    def start_stores(self) -> None:
        """Empty ones."""
        self.machine.boot()
        until(self._has_booted, f"{self.machine.name} has booted")
        self._open()
        services = asyncio.run(prepare_stores(self.layout, ExternalStores()))
        self._supervise()
        self._keep(services)

    def install(self) -> None:
        """The first rows, and the keys of a new cluster."""
        write_manager_config(self._core)
        self.configure()
        rows = self.layout.secrets / "first-rows.json"
        write_file(rows, json.dumps(compose_fixture(self.layout)))
        self.operate("schema", "upgrade")
        self.operate("fixture", "populate", str(rows))

    def configure(self) -> None:
        """A `manager.toml` for this machine, and the one key that no backup has."""
        relay = self.layout.etc / RELAY_SECRET
        if not relay.exists():
            self.machine.ok(str(COMMAND), "mgr", "generate-secret-key", "--out", str(relay))
        settings = tomllib.loads(render_manager_config(self._core))
        settings["manager"] |= PATIENCE
        write_file(self.layout.etc / "manager.toml", render_toml(settings))

    def start_manager(self) -> None:
        self._keep([specify_manager(self._core, STORES)])

    def operate(self, *words: str) -> str:
        """`backendai mgr …`, as an operator on the machine. Returns what it printed."""
        config = str(self.layout.etc / "manager.toml")
        return self.machine.ok(str(COMMAND), "mgr", *words, "-f", config)

    def administer(self, who: Account, *words: str) -> str:
        """`backendai admin …`, from another machine. Returns what it printed."""
        given = {
            "BACKEND_ENDPOINT": self.endpoint,
            "BACKEND_ENDPOINT_TYPE": "api",
            "BACKEND_ACCESS_KEY": who.access_key,
            "BACKEND_SECRET_KEY": who.secret_key,
        }
        done = run([str(COMMAND), "admin", *words], self.machine.environ | given)
        assert done.code == 0, done.both
        return done.out

    def first_admin(self) -> Account:
        """Of `install`."""
        return {account.role: account for account in load_accounts(self.layout)}["superadmin"]

    def api(self, who: Account) -> Api:
        return Api(self.endpoint, who.access_key, who.secret_key)

    def announced(self) -> set[str]:
        """Ids of the agents that have told its etcd where they are."""
        keys = self.operate("etcd", "ls", _NODES).split()
        return {key.removeprefix(_NODES) for key in keys}

    def lose(self) -> None:
        """Its machine, with all that is on its disk."""
        self.machine.remove()
        if self._supervisor is not None:
            self._supervisor.wait()

    def _has_booted(self) -> bool:
        return psutil.Process(self.machine.pid).name() == "sleep"

    def _open(self) -> None:
        """Connections from others to what listens on the loopback, at the same ports."""
        self.machine.ok("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
        arriving = ("-i", "eth0", "-p", "tcp")
        to = ("-j", "DNAT", "--to-destination", "127.0.0.1")
        self.machine.ok("iptables", "-w", "-t", "nat", "-I", "PREROUTING", *arriving, *to)

    def _supervise(self) -> None:
        argv = [sys.executable, "-m", "backendai.halfstack.supervisor", str(self.layout.root)]
        with self.layout.log_file("supervisor").open("ab") as log:
            self._supervisor = subprocess.Popen(
                self.machine.command(*argv), env=self.machine.environ, stdout=log, stderr=log
            )
        until(lambda: asyncio.run(find_standings(self.layout)) is not None, "a supervisor runs")

    def _keep(self, services: Sequence[Service]) -> None:
        async def ensure() -> None:
            await ensure_services(self.layout, services)
            names = [service.name for service in services]
            await await_healthy(self.layout, names, PATIENCE_SECONDS)

        asyncio.run(ensure())
