"""A small engine in memory, and an agent's node around it, for tests that own the time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from backendai.agent.accounts import AccountFiles
from backendai.agent.backends.backend import Accounts, Change, Listing, Progress, Whereabouts
from backendai.agent.desires import MemoryStore
from backendai.agent.exits import ExitFacts
from backendai.agent.faults import ContainerMissing, EngineUnreachable
from backendai.agent.images import Images
from backendai.agent.labels import read_labels
from backendai.agent.ledger import Ledger
from backendai.agent.machine import Container, Phase
from backendai.agent.node import Node
from backendai.agent.notes import Notes, Reporter
from backendai.agent.profile import Maker, Profile
from backendai.agent.relay.keys import KeyRing
from backendai.agent.resources.cpu import CpuPlugin
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.memory import MemoryPlugin
from backendai.agent.runners import Runners
from backendai.agent.scratch import Scratch
from backendai.agent.threads import Threads
from backendai.common.clock import Clock, SystemClock
from backendai.common.contracts.agent import ImageReport, RegistryLogin, SwarmReport
from backendai.common.faults import Fault
from backendai.kernel.wire import HelloReply

IMAGE = ImageReport(name="img", digest="sha256:1", architecture="x86_64", size_bytes=1)


@dataclass
class FakeBackend:
    """Containers in a dict, by name. `is_away` makes every call fail as an engine that is away.
    Each start takes one of `refusals`, while there are some."""

    name: str = "fake"
    shares_host_network: bool = False
    containers: dict[str, tuple[Profile, Phase]] = field(default_factory=dict)
    images: dict[str, ImageReport] = field(default_factory=lambda: {IMAGE.name: IMAGE})
    facts: dict[str, ExitFacts] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)
    logins: list[RegistryLogin | None] = field(default_factory=list)
    is_away: bool = False
    changes: "asyncio.Queue[Change]" = field(default_factory=asyncio.Queue)
    pull_gate: "asyncio.Event | None" = None
    kept_networks: frozenset[str] | None = None
    swarm: SwarmReport = field(default_factory=SwarmReport)
    refusals: list[Fault] = field(default_factory=list)
    spread_gate: "asyncio.Event | None" = None

    def note(self, call: str) -> None:
        if self.is_away:
            raise EngineUnreachable("away")
        self.calls.append(call)

    async def list_containers(self) -> Listing:
        if self.is_away:
            raise EngineUnreachable("away")
        identities = {
            name: read_labels(name, profile.labels)
            for name, (profile, _) in self.containers.items()
        }
        found = tuple(
            Container(identities[name].kernel_id, identities[name].generation, name, phase)
            for name, (_, phase) in self.containers.items()
        )
        return Listing(found, identities)

    async def watch(self) -> AsyncIterator[Change]:
        while True:
            yield await self.changes.get()

    async def create(self, profile: Profile) -> str:
        self.note("create")
        self.containers.setdefault(profile.name, (profile, Phase.CREATED))
        return profile.name

    async def start(self, container_id: str) -> None:
        self.note("start")
        if self.refusals:
            raise self.refusals.pop()
        if self.spread_gate is not None and self.containers[container_id][0].network.is_spread:
            await self.spread_gate.wait()
        self.containers[container_id] = (self.containers[container_id][0], Phase.RUNNING)

    async def terminate(self, container_id: str) -> None:
        self.note("terminate")
        self.end(container_id, ExitFacts(143, started_at=1e10, ended_at=2e10))

    async def remove(self, container_id: str) -> None:
        self.note("remove")
        self.containers.pop(container_id, None)

    async def exit_facts(self, container_id: str) -> ExitFacts:
        return self.facts[container_id]

    async def read_output(self, container_id: str) -> str:
        return ""

    async def locate(self, container_id: str) -> Whereabouts:
        raise ContainerMissing(container_id)

    async def image_root(self) -> Path:
        if self.is_away:
            raise EngineUnreachable("away")
        return Path("/")

    async def list_images(self) -> list[ImageReport]:
        return list(self.images.values())

    async def find_image(self, name: str) -> ImageReport | None:
        return self.images.get(name)

    async def pull_image(self, name: str, login: RegistryLogin | None, progress: Progress) -> None:
        self.pulls.append(name)
        self.logins.append(login)
        progress("begun")
        if self.pull_gate is not None:
            await self.pull_gate.wait()
        self.images[name] = replace_name(IMAGE, name)

    async def remove_image(self, name: str) -> None:
        self.note("remove_image")
        self.images.pop(name, None)

    async def commit(
        self, container_id: str, image: str, labels: Mapping[str, str], bytes_max: int
    ) -> None:
        self.note("commit")

    async def read_accounts(self, image: str) -> Accounts:
        return Accounts("work:x:1000:1000::/:/bin/sh", "")

    async def ensure_network(self, name: str) -> None:
        return

    async def attach(self, container_id: str, network: str) -> None:
        self.note(f"attach {network}")

    async def read_swarm(self) -> SwarmReport:
        return self.swarm

    async def ensure_cluster_network(self, name: str) -> None:
        self.note(f"ensure {name}")
        self._set_networks({*self.swarm.networks, name})

    async def remove_cluster_network(self, name: str) -> None:
        self.note(f"remove {name}")
        self._set_networks({*self.swarm.networks} - {name})

    def _set_networks(self, names: set[str]) -> None:
        self.swarm = replace(self.swarm, networks=sorted(names))

    async def sweep(self, in_use: Callable[[], Collection[str]]) -> None:
        self.kept_networks = frozenset(in_use())

    async def remove_network(self, name: str) -> None:
        return

    async def close(self) -> None:
        return

    def end(self, name: str, facts: ExitFacts) -> None:
        """A container ends, and the engine tells so."""
        self.facts[name] = facts
        self.containers[name] = (self.containers[name][0], Phase.EXITED)
        self.changes.put_nowait(Change(name, has_ended=True))


class FakeRunners(Runners):
    """Runners that answer at once; they end their kernels when `are_listening`."""

    are_listening = True

    async def wait_ready(self, kernel_id: str, generation: int, seconds: float) -> HelloReply:
        return HelloReply(version=1, pid=1, python="", query_ready=True, started_at=0.0)

    async def shut_down(self, kernel_id: str, generation: int, seconds: float) -> bool:
        return self.are_listening


def replace_name(image: ImageReport, name: str) -> ImageReport:
    return ImageReport(
        name=name, digest=image.digest, architecture=image.architecture, size_bytes=1
    )


def make_node(
    folder: Path, backend: FakeBackend, ledger: Ledger, clock: Clock | None = None
) -> Node:
    clock = clock or SystemClock()
    scratch = Scratch(folder / "scratch", 1000, 1000)
    threads = Threads("test", 2)
    return Node(
        backend=backend,
        store=MemoryStore(),
        images=Images(backend),
        inventory=Inventory((CpuPlugin((0, 1, 2, 3), Decimal(4)), MemoryPlugin(2**33))),
        scratch=scratch,
        accounts=AccountFiles(backend, folder / "accounts", 1000, 1000),
        runners=FakeRunners(scratch.run_dir, clock),
        relay_keys=KeyRing(folder / "relay.keys", threads),
        threads=threads,
        notes=Notes(),
        reporter=Reporter(ledger, clock),
        maker=Maker("i-1", "instance", "0", 1000, 1000),
        clock=clock,
        bundle="/bundle",
        booted_at=0.0,
    )
