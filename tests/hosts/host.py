"""One host: a machine with an engine and an agent."""

import enum
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import docker
import psutil

from backendai.common.rpc.curve import ensure_keypair
from backendai.common.settings.render import render_toml
from backendai.halfstack.engine import remove_cgroups
from backendai.halfstack.images import find_cache
from tests.hosts.machine import Machine, await_child, is_running
from tests.hosts.network import Bridge
from tests.running.stack import COMMAND, Stack, list_containers, open_engine
from tests.running.waiting import until

ENGINE: Final = Path(__file__).with_name("engine.sh")
RPC_PORT: Final = 6001
RELAY_PORT: Final = 6002


class Cut(enum.Enum):
    """Which packets of a host are lost: (chain of iptables, way of `eth0`)."""

    BOTH = (("INPUT", "-i"), ("OUTPUT", "-o"))
    ARRIVING = (("INPUT", "-i"),)
    LEAVING = (("OUTPUT", "-o"),)


class Host(Machine):
    """An agent is started by `start_agent` only."""

    def __init__(self, name: str, number: int, folder: Path, bridge: Bridge, stack: Stack) -> None:
        super().__init__(name, number, folder, bridge)
        self._stack = stack
        self._agent: psutil.Process | None = None
        self.etc.mkdir()
        (folder / "group").write_text(self._group)

    @property
    def agent_id(self) -> str:
        """As an agent is called whose settings name none."""
        return f"i-{self.name}"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def docker_host(self) -> str:
        """Where its engine is found from outside of it."""
        return f"unix:///proc/{self.pid}/root/run/docker.sock"

    def boot(self, what: Sequence[str] = ()) -> None:
        """Power on, and wait until the engine answers."""
        engine = ["/bin/sh", str(ENGINE), str(self.folder), self._group, "warn"]
        super().boot(what or engine)
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
        """As of any machine, and its containers are gone with it."""
        super().kill()
        self._agent = None
        remove_cgroups(self._group)

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
        self._agent = await_child(way.pid, f"the agent of {self.name} starts")

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
        return self._agent is not None and is_running(self._agent)

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
