"""The values of apps: where they are, what is asked of them, and what is open."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from backendai.common.contracts.agent import KernelRef
from backendai.common.faults import AppNotFound, Conflict, InvalidParams
from backendai.common.ids import AgentId
from backendai.common.lifecycle import KernelStatus
from backendai.manager.sessions.work import Place


@dataclass(frozen=True, slots=True)
class App:
    """`ports` are those in the kernel; none for an app that is built in."""

    name: str
    protocol: str
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AppRequest:
    """`port` is the one of the app's that is meant, None its first. `arguments` are options of its
    command line, `envs` variables: both count when the app is started for it."""

    app: str
    port: int | None = None
    arguments: Mapping[str, str | list[str] | None] = field(default_factory=dict)
    envs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the apps of a session are: its main kernel, that one's node, and whose it is."""

    session_id: uuid.UUID
    status: str
    kernel_id: uuid.UUID
    kernel_status: str
    generation: int
    agent_id: str | None
    relay_address: str
    project_id: uuid.UUID
    domain: str
    proxy_address: str
    apps: tuple[App, ...]

    @property
    def place(self) -> Place:
        """Raises Conflict while the main kernel does not run."""
        if self.kernel_status != KernelStatus.RUNNING or self.agent_id is None:
            raise Conflict(
                f"The session is {self.status}; it must be RUNNING for this.",
                {"status": self.status},
            )
        ref = KernelRef(kernel_id=str(self.kernel_id), generation=self.generation)
        return Place(self.session_id, AgentId(self.agent_id), ref)

    def check(self, wanted: AppRequest) -> App:
        """The app that is meant. Raises AppNotFound, and InvalidParams for a port of another."""
        for app in self.apps:
            if app.name != wanted.app:
                continue
            if wanted.port is not None and wanted.port not in app.ports:
                ports = ", ".join(map(str, app.ports)) or "none"
                raise InvalidParams(facts={"port": f"is none of {app.name}'s: {ports}"})
            return app
        known = ", ".join(app.name for app in self.apps) or "none"
        raise AppNotFound(f"{wanted.app!r}; the session has {known}")


@dataclass(frozen=True, slots=True)
class Started:
    """An app that accepts connections at `port` of its kernel; 0 for one that is built in."""

    app: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What a browser needs to get a circuit from an app proxy."""

    token: str
    proxy_address: str
