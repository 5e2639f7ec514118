"""What an engine must do for the agent. Every call may be repeated without harm.

All methods raise EngineUnreachable when the engine does not answer, and EngineRefused with the
engine's own words when it answers with an error.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backendai.agent.exits import ExitFacts
from backendai.agent.labels import Identity
from backendai.agent.machine import Container
from backendai.agent.profile import Profile
from backendai.common.contracts.agent import ImageReport, RegistryLogin, SwarmReport

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stray:
    """A container that claims to be this agent's and cannot be read."""

    container_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All containers of this agent, each with its identity, and the strays."""

    containers: tuple[Container, ...]
    identities: Mapping[str, Identity]
    strays: tuple[Stray, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a container; `has_ended`: it runs no more."""

    container_id: str = ""
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a running container can be watched: the host's pid of its first process."""

    pid: int
    started_at: float


@dataclass(frozen=True, slots=True)
class Accounts:
    """The text of an image's /etc/passwd and /etc/group; empty where it has none."""

    passwd: str
    group: str


class Backend(Protocol):
    """An engine. `name` is what reports call it."""

    @property
    def name(self) -> str: ...

    @property
    def shares_host_network(self) -> bool:
        """Whether what a kernel listens at is the host's own port."""
        ...

    async def list_containers(self) -> Listing: ...

    def watch(self) -> AsyncIterator[Change]:
        """Changes of containers: hints only, some may be lost.

        Goes on after the engine was away, and yields a change of no container when that happened.
        """
        ...

    async def create(self, profile: Profile) -> str:
        """The id of the new container, or of the one that has the name and the labels already."""
        ...

    async def start(self, container_id: str) -> None: ...

    async def terminate(self, container_id: str) -> None:
        """Ask it politely (SIGTERM) to end; does not wait for that."""
        ...

    async def remove(self, container_id: str) -> None:
        """Kill what runs of it and remove it. Returns when it is gone."""
        ...

    async def exit_facts(self, container_id: str) -> ExitFacts: ...

    async def read_output(self, container_id: str) -> str:
        """The last lines that its first process printed, for the one who asks why it ended."""
        ...

    async def locate(self, container_id: str) -> Whereabouts:
        """Raises ContainerMissing when it does not run."""
        ...

    async def image_root(self) -> Path:
        """Where images are kept, on the engine's machine."""
        ...

    async def list_images(self) -> list[ImageReport]: ...

    async def find_image(self, name: str) -> ImageReport | None: ...

    async def pull_image(self, name: str, login: RegistryLogin | None, progress: Progress) -> None:
        """`login` is for the registry of this image.

        Raises ImageMissing, RegistryLoginRefused or RegistryUnavailable.
        """
        ...

    async def remove_image(self, name: str) -> None:
        """What is not there is as wanted. Raises ImageInUse, and EngineRefused where images are not
        the engine's to remove."""
        ...

    async def commit(
        self, container_id: str, image: str, labels: Mapping[str, str], bytes_max: int
    ) -> None:
        """Make the image `image` of what a container has written over its own, while it runs on.

        What mounts hold is not in it. `labels` are put over those of its own image. Returns when it
        is made. Raises ContainerMissing, QuotaExceeded when more than `bytes_max` was written, and
        CommitNotOffered.
        """
        ...

    async def read_accounts(self, image: str) -> Accounts: ...

    async def ensure_network(self, name: str) -> None:
        """Make the bridge of a session; an empty `name` is the agent's common network."""
        ...

    async def attach(self, container_id: str, network: str) -> None:
        """Put a container that was not started yet, in a network of the swarm, into the bridge of
        its session as well: that one leads out of the node."""
        ...

    async def read_swarm(self) -> SwarmReport:
        """The swarm that the engine is in."""
        ...

    async def ensure_cluster_network(self, name: str) -> None:
        """Make a network of a session in the swarm. Raises EngineRefused where the node does not
        manage one."""
        ...

    async def remove_cluster_network(self, name: str) -> None:
        """Does nothing while a container of any node is in it, or where it is not of agents."""
        ...

    async def sweep(self, in_use: Callable[[], Collection[str]]) -> None:
        """Remove what the death of an agent left half done: networks and things of one moment.

        `in_use` names the networks to keep, the common one as an empty text; it is asked after
        they were listed, so that one made meanwhile is known to it.
        """
        ...

    async def remove_network(self, name: str) -> None:
        """Does nothing while a container is in it."""
        ...

    async def close(self) -> None: ...
