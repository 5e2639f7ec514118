"""One host: a network, processes and mounts of its own, with an engine and an agent.

Its first process is its power: killed, everything on the host is gone in that moment.
"""

import enum
import os
import shutil
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import docker
import psutil

from backendai.common.rpc.curve import ensure_keypair
from backendai.common.settings.render import render_toml
from backendai.halfstack.engine import remove_cgroups, remove_tree
from backendai.halfstack.images import find_cache
from tests.hosts.network import Bridge
from tests.running.stack import COMMAND, Done, Stack, list_containers, open_engine, run
from tests.running.waiting import until

BOOT: Final = Path(__file__).with_name("boot.sh")
RPC_PORT: Final = 6001
RELAY_PORT: Final = 6002
# Whatever ends us ends the first process of a host, and that ends the rest.
_POWER: Final = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc"),
    "--kill-child=KILL",
)


class Cut(enum.Enum):
    """Which packets of a host are lost: (chain of iptables, way of `eth0`)."""

    BOTH = (("INPUT", "-i"), ("OUTPUT", "-o"))
    ARRIVING = (("INPUT", "-i"),)
    LEAVING = (("OUTPUT", "-o"),)


class Host:
    """Nothing runs before `boot`. `number` is that of its cable."""

    def __init__(self, name: str, number: int, folder: Path, bridge: Bridge, stack: Stack) -> None:
        self.name = name
        self.number = number
        self.folder = folder
        self.address = bridge.address_of(number)
        self._bridge = bridge
        self._stack = stack
        self._power: subprocess.Popen[bytes] | None = None
        self._first: psutil.Process | None = None
        self._agent: psutil.Process | None = None
        self.etc.mkdir(parents=True)
        (folder / "group").write_text(self._group)

    @property
    def agent_id(self) -> str:
        """As an agent is called whose settings name none."""
        return f"i-{self.name}"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def is_up(self) -> bool:
        return self._first is not None and _is_running(self._first)

    @property
    def pid(self) -> int:
        """Of its first process, as the machine counts."""
        assert self._first is not None, f"{self.name} is down"
        return self._first.pid

    @property
    def docker_host(self) -> str:
        """Where its engine is found from outside of it."""
        return f"unix:///proc/{self.pid}/root/run/docker.sock"

    def boot(self) -> None:
        """Power on, and wait until the engine answers. The agent is started by `start_agent`."""
        argv = [*_POWER, "/bin/sh", str(BOOT), self.name, str(self.folder), self._group, "warn"]
        with (self.folder / "boot.log").open("ab") as log:
            self._power = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        self._first = _await_child(self._power.pid, f"{self.name} boots")
        self._bridge.plug(self.number, self.pid)
        try:
            until(self._has_engine, f"the engine of {self.name} answers")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._tell()}") from None

    def cut_off(self, cut: Cut) -> None:
        """Lose packets from now on."""
        for chain, way in cut.value:
            self.ok("iptables", "-w", "-I", chain, way, "eth0", "-j", "DROP")

    def join_again(self) -> None:
        """Lose none; right also where none was lost."""
        for chain, way in Cut.BOTH.value:
            while self.run("iptables", "-w", "-D", chain, way, "eth0", "-j", "DROP").code == 0:
                pass

    def kill(self) -> None:
        """Pull the plug: every process and container is gone, what is on disk stays."""
        if self._power is None:
            return
        if self._first is not None and self._first.is_running():
            self._first.kill()
        self._power.wait()
        self._power = self._first = self._agent = None
        self._bridge.unplug(self.number)
        remove_cgroups(self._group)

    def remove(self) -> None:
        self.kill()
        remove_tree(self.folder)

    def command(self, *argv: str) -> list[str]:
        """What runs `argv` on the host."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-p", "--", *argv]

    def run(self, *argv: str, seconds: float = 120.0, **more: Any) -> Done:
        """A command on the host, to its end."""
        return run(self.command(*argv), self.environ, seconds, cwd=self.folder, **more)

    def ok(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.code == 0, f"{self.name}: {' '.join(argv)}: exit {done.code}\n{done.both}"
        return done.out

    @property
    def environ(self) -> dict[str, str]:
        """Of a person on the host, who knows nothing of the cluster."""
        path = f"{COMMAND.parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        kept = {name: text for name, text in os.environ.items() if name in ("HOME", "BAI_CACHE")}
        return {**kept, "PATH": path, "COLUMNS": "200"}

    def engine(self) -> AbstractContextManager[docker.DockerClient]:
        return open_engine(self.docker_host)

    def load(self, saved: bytes) -> None:
        """Bring an image into its engine, as another has saved it."""
        with self.engine() as client:
            assert client.images.load(saved)

    def containers(self, session_id: str = "") -> dict[str, int]:
        """As `list_containers` of its engine."""
        return list_containers(self.docker_host, session_id)

    def settings(self) -> dict[str, Any]:
        """What its agent is configured with, by hand as the documents tell it."""
        stores = self._stack.stores
        return {
            "etcd": {
                "namespace": self._stack.settings("manager")["etcd"]["namespace"],
                "addr": {"host": self._bridge.address, "port": stores.etcd_port},
            },
            "agent": {
                "mode": "docker",
                "rpc-listen-addr": {"host": self.address, "port": RPC_PORT},
                "relay-listen-addr": {"host": self.address, "port": RELAY_PORT},
                "rpc-keypair": str(self.etc / "agent.key"),
                "manager-public-keys-file": str(self.etc / "manager-keys"),
                "resource-group": "default",
                "state-dir": str(self.folder / "state"),
                "bundle-dir": str(find_cache() / "bundles"),
            },
            "container": {
                "docker-host": "unix:///run/docker.sock",
                "scratch-root": str(self.folder / "scratch"),
            },
            "logging": {"format": "json"},
        }

    def configure(self) -> None:
        """`agent.toml` and the keys that it names."""
        ensure_keypair(self.etc / "agent.key")
        keys = self._stack.layout.etc / "manager-public-keys"
        shutil.copy(keys, self.etc / "manager-keys")
        (self.etc / "agent.toml").write_text(render_toml(self.settings()))

    def start_agent(self) -> None:
        """And do not wait for anything."""
        argv = self.command(str(COMMAND), "ag", "start-server", "-f", str(self.etc / "agent.toml"))
        with (self.folder / "agent.log").open("ab") as log:
            way = subprocess.Popen(
                argv, env=self.environ, cwd=self.folder, stdout=log, stderr=log, stdin=-3
            )
        self._agent = _await_child(way.pid, f"the agent of {self.name} starts")

    def kill_agent(self) -> None:
        """Its containers run on."""
        self._end_agent(signal.SIGKILL)

    def stop_agent(self) -> None:
        """As systemd does. Its containers run on."""
        self._end_agent(signal.SIGTERM)

    def _end_agent(self, number: int) -> None:
        assert self._agent is not None, f"no agent runs on {self.name}"
        self._agent.send_signal(number)
        until(lambda: not self.has_agent, "the agent is gone")

    @property
    def has_agent(self) -> bool:
        return self._agent is not None and _is_running(self._agent)

    @property
    def log(self) -> str:
        """What its agent has written."""
        return (self.folder / "agent.log").read_text()

    @property
    def _group(self) -> str:
        return f"bai-{self.name}"

    def _tell(self) -> str:
        """The last words of what a host starts with."""
        logs = [self.folder / f"{name}.log" for name in ("boot", "containerd", "dockerd")]
        return "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in logs if log.exists())

    def _has_engine(self) -> bool:
        try:
            with self.engine() as client:
                # Before it has a `/run` of its own, the machine's engine would answer.
                return bool(client.info()["Name"] == self.name)
        except docker.errors.DockerException as error:
            raise ConnectionError(str(error)) from error


def _is_running(process: psutil.Process) -> bool:
    """One that waits to be reaped by its parent has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _await_child(pid: int, what: str) -> psutil.Process:
    """The process that a program which enters or makes name spaces has started in them."""

    def find() -> psutil.Process | None:
        children = psutil.Process(pid).children()
        return children[0] if children else None

    return until(find, what)
