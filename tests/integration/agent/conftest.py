"""Agents on real engines: as processes of their own, asked over RPC as a manager asks."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, Popen

import docker
import msgspec
import pytest

from backendai.agent.networks import NetworkNames
from backendai.agent.purge import purge_node
from backendai.agent.settings import AgentSettings
from backendai.common.contracts.agent import (
    ENSURE,
    OBSERVE,
    AgentReport,
    Desired,
    EnsureKernel,
    KernelRef,
    KernelReport,
    KernelSpec,
    KernelState,
    Observe,
)
from backendai.common.faults import AgentTimeout, Fault
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair, ensure_keypair
from backendai.common.settings.load import load_settings
from backendai.common.settings.render import render_toml
from backendai.halfstack.images import find_cache
from backendai.kernel.bundle import build_bundle
from tests.running.waiting import until

WAIT_SECONDS = 90.0
ASKED_AGAIN_MAX = 2
LOST_SECONDS = 5.0
MIB = 2**20


@pytest.fixture(scope="session")
def bundle_dir() -> Path:
    folder = find_cache() / "bundles"
    build_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def image_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image, `busybox`, as the process backend wants it."""
    folder = tmp_path_factory.mktemp("images")
    programs = folder / "busybox" / "bin"
    programs.mkdir(parents=True)
    shutil.copy("/bin/busybox", programs / "busybox")
    for name in ("sh", "sleep", "id", "cat", "ls", "grep", "dd", "wget", "touch", "ip", "mount"):
        (programs / name).symlink_to("busybox")
    return folder


@pytest.fixture(params=["docker", "process"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(mode: str, request: pytest.FixtureRequest) -> str:
    """The image with busybox in it, on either backend."""
    if mode == "docker":
        return str(request.getfixturevalue("busybox_image"))
    return "busybox"


@dataclass
class Node:
    """One agent: its folder, its process, and a manager's connection to it."""

    folder: Path
    mode: str
    docker_host: str
    image_dir: Path
    bundle_dir: Path
    etcd: str = "127.0.0.1:1"
    agent_id: str = field(default_factory=lambda: f"i-{uuid.uuid4().hex[:8]}")
    options: dict[str, dict[str, object]] = field(default_factory=dict)
    process: "Popen[bytes] | None" = None
    peer: RpcPeer | None = None
    port: int = 0
    has_started: bool = False

    @property
    def keys(self) -> KeyPair:
        return ensure_keypair(self.folder / "agent.key")

    @property
    def manager_keys(self) -> KeyPair:
        return ensure_keypair(self.folder / "manager.key")

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def start(self, failpoints: str = "") -> None:
        self._write_settings()
        environ = {**os.environ, "BAI_FAILPOINTS": failpoints}
        command = [str(Path(sys.executable).parent / "backendai"), "ag", "start-server"]
        log = (self.folder / "agent.log").open("ab")
        self.process = Popen(
            [*command, "-f", str(self.folder / "agent.toml")],
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            env=environ,
        )
        self.has_started = True

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(15)

    async def end_of_process(self) -> int:
        """How the agent ended, without being told to by the test."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, WAIT_SECONDS)

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.end(number)
        self.start()

    async def command(self, *words: str) -> tuple[int, str]:
        """The exit code and the output of `backendai ag …`."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "backendai"),
            "ag",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def traces(self) -> list[str]:
        """Whatever there still is of this agent on the node: containers, networks, rules."""
        return await asyncio.to_thread(self._traces)

    def _traces(self) -> list[str]:
        client = docker.APIClient(base_url=self.docker_host)
        mine = {"label": [f"bai.agent={self.agent_id}"]}
        found = [one["Id"] for one in client.containers(all=True, filters=mine)]
        found += [one["Name"] for one in client.networks(filters=mine)]
        client.close()
        prefix = NetworkNames(self.agent_id).interface_prefix
        rules = subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True)
        return found + [line for line in rules.stdout.splitlines() if prefix in line]

    async def connect(self) -> RpcPeer:
        """A refused connection is tried again only after a while, so there is none before it can
        be taken, and a new one to an agent that was started again.
        """
        if self.peer is not None and self.has_started:
            await self.peer.close()
            self.peer = None
        if self.peer is None:
            self.has_started = False
            await asyncio.to_thread(until, self._is_awaited_no_more, "the agent listens")
            address = f"tcp://127.0.0.1:{self.port}"
            self.peer = RpcPeer(address, self.keys.public, self.manager_keys)
        return self.peer

    def _is_awaited_no_more(self) -> bool:
        return is_listening(self.port) or not self.is_running

    async def observe(self, after: int = 0, instance: str = "", wait: float = 0.0) -> AgentReport:
        """The agent's report; asked again when an agent that died took the question with it."""
        question = Observe(instance=instance, after=after, wait_seconds=wait)
        while True:
            peer = await self.connect()
            with contextlib.suppress(AgentTimeout):
                return await peer.ask(OBSERVE, question, timeout_seconds=wait + LOST_SECONDS)

    async def until(
        self, is_so: Callable[[AgentReport], bool], seconds: float = WAIT_SECONDS
    ) -> AgentReport:
        """The first report for which `is_so`, by long polls."""
        version, instance, report = 0, "", None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    report = await self.observe(version, instance, 2.0)
                    if is_so(report):
                        return report
                    version, instance = report.version, report.instance
        except TimeoutError:
            log = (self.folder / "agent.log").read_text()[-3000:]
            raise AssertionError(f"never so; last report: {report}\n{log}") from None

    async def kernel(
        self, kernel_id: str, *states: KernelState, seconds: float = WAIT_SECONDS
    ) -> KernelReport:
        """The report of a kernel once it is in one of `states`."""

        def is_so(report: AgentReport) -> bool:
            return any(one.kernel_id == kernel_id and one.state in states for one in report.kernels)

        report = await self.until(is_so, seconds)
        return next(one for one in report.kernels if one.kernel_id == kernel_id)

    async def order(
        self, spec: KernelSpec | None, kernel_id: str, generation: int = 1, **options: float | str
    ) -> KernelReport:
        """Ask for a kernel to run, or with no `spec` to be gone."""
        desired = Desired.GONE if spec is None else Desired.RUNNING
        order = EnsureKernel(
            kernel_id=kernel_id,
            generation=generation,
            desired=desired,
            spec=spec,
            reason=str(options.get("reason", "")),
            grace_seconds=float(options.get("grace_seconds", 5.0)),
        )
        for _ in range(ASKED_AGAIN_MAX):
            # An agent that is being restarted takes requests with it; asking again is right.
            peer = await self.connect()
            with contextlib.suppress(AgentTimeout):
                return await peer.ask(ENSURE, order)
        return await (await self.connect()).ask(ENSURE, order)

    async def run(self, spec: KernelSpec, generation: int = 1) -> KernelRef:
        """A running kernel."""
        kernel_id = str(uuid.uuid4())
        await self.order(spec, kernel_id, generation)
        await self.kernel(kernel_id, KernelState.RUNNING)
        return KernelRef(kernel_id=kernel_id, generation=generation)

    async def remove(self, ref: KernelRef, **options: float | str) -> KernelReport:
        await self.order(None, ref.kernel_id, ref.generation, **options)
        return await self.kernel(ref.kernel_id, KernelState.GONE)

    def _write_settings(self) -> None:
        host, _, port = self.etcd.rpartition(":")
        self.port = self.port or free_port()
        keys = self.folder / "managers"
        keys.write_text(self.manager_keys.public + "\n")
        sections: dict[str, dict[str, object]] = {
            "etcd": {"namespace": self.agent_id, "addr": {"host": host, "port": int(port)}},
            "agent": {
                "mode": self.mode,
                "id": self.agent_id,
                "rpc-listen-addr": {"host": "127.0.0.1", "port": self.port},
                "relay-listen-addr": {"host": "127.0.0.1", "port": 0},
                "rpc-keypair": str(self.folder / "agent.key"),
                "manager-public-keys-file": str(keys),
                "state-dir": str(self.folder / "state"),
                "bundle-dir": str(self.bundle_dir),
                "image-dir": str(self.image_dir),
            },
            "container": {"scratch-root": str(self.scratch), "docker-host": self.docker_host},
            "logging": {"level": "INFO", "format": "console"},
        }
        for name, values in self.options.items():
            sections[name] = {**sections.get(name, {}), **values}
        (self.folder / "agent.toml").write_text(render_toml(sections))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Without a connection, which the one that listens would have to get over."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def make_spec(image: str, **changes: object) -> KernelSpec:
    spec = KernelSpec(
        session_id=str(uuid.uuid4()),
        session_name="s",
        session_type="interactive",
        image=image,
        slots={"cpu": "0.5", "mem": str(256 * MIB)},
    )
    return msgspec.structs.replace(spec, **changes)


@pytest.fixture
def engine(docker_host: str) -> Iterator["docker.APIClient"]:
    """The test's own hands on the engine."""
    client = docker.APIClient(base_url=docker_host)
    yield client
    client.close()


@pytest.fixture
def engine_host(mode: str, request: pytest.FixtureRequest) -> str:
    """The engine's address; nothing is there in mode process."""
    if mode == "docker":
        return str(request.getfixturevalue("docker_host"))
    return "unix:///nowhere"


@pytest.fixture
async def resting_node(
    mode: str, engine_host: str, tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> AsyncIterator[Node]:
    """An agent of the parametrised mode that the test starts itself."""
    made = Node(tmp_path, mode, engine_host, image_dir, bundle_dir)
    yield made
    await end_node(made)


@pytest.fixture
async def node(resting_node: Node) -> Node:
    """A running agent of the parametrised mode."""
    resting_node.start()
    await resting_node.until(lambda report: report.engine_reachable)
    return resting_node


@pytest.fixture
async def docker_node(
    docker_host: str, tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> AsyncIterator[Node]:
    """A running agent on Docker."""
    made = Node(tmp_path, "docker", docker_host, image_dir, bundle_dir)
    made.start()
    try:
        await made.until(lambda report: report.engine_reachable)
        yield made
    finally:
        await end_node(made)


async def end_node(node: Node) -> None:
    try:
        if node.peer is not None and node.is_running:
            await asyncio.wait_for(_remove_kernels(node), WAIT_SECONDS)
    finally:
        if node.peer is not None:
            await node.peer.close()
        if node.is_running:
            node.end()
        await asyncio.to_thread(_purge, node)


def _purge(node: Node) -> None:
    """As `backendai ag purge`, which takes most of its time to start; a dead engine is let be."""
    with contextlib.suppress(Fault):
        purge_node(load_settings(AgentSettings, "agent", node.folder / "agent.toml"))


async def _remove_kernels(node: Node) -> None:
    report = await node.observe()
    for one in report.kernels:
        await node.order(None, one.kernel_id, one.generation, grace_seconds=0.0)
    for one in report.kernels:
        await node.kernel(one.kernel_id, KernelState.GONE)
