"""What the core needs of storage. Each method is one transaction; the cores see nothing else.

Postgres has one implementation, the simulation another; both pass the same contract tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from backendai.common.contracts.agent import AgentReport, KernelSpec, RegistryLogin
from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId, KernelId, SessionId
from backendai.manager.agents.model import AgentRow, Contact
from backendai.manager.sched.placement import Placement
from backendai.manager.sched.reasons import WaitReason
from backendai.manager.sched.view import Ask, View

from .decide import KernelCase
from .model import Move, MovedKernel
from .networks import Networks


@dataclass(frozen=True, slots=True)
class Placed:
    """`refused` placements did not hold any more when they were to be written."""

    moved: tuple[MovedKernel, ...]
    refused: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    id: int
    session_id: SessionId | None
    name: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A slot whose live allocation is not what its kernel should hold; None: there is none."""

    kernel_id: KernelId
    agent_id: str | None
    slot: str
    due: str | None
    held: str | None


class CoreStore(Protocol):
    """Every method raises StoreUnavailable when it is unknown whether, or sure that nothing, was
    written; asking again is always right."""

    async def load_view(self) -> View: ...

    async def place(self, placements: Sequence[Placement], now: datetime) -> Placed:
        """Write the placements that still hold, looked at again under locks."""
        ...

    async def write_waits(self, waits: Sequence[tuple[Ask, WaitReason]], now: datetime) -> None: ...

    async def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or keep a lease; False while another holder has it. It saves work, it guards
        nothing."""
        ...

    async def end_leases(self, holder: str) -> None:
        """Let others take at once what `holder` has, which stops."""
        ...

    async def load_cases(self, agent_id: AgentId, reported: Sequence[str]) -> list[KernelCase]:
        """The kernels placed on a node that hold room there, and every one in `reported`."""
        ...

    async def load_specs(self, kernel_ids: Sequence[KernelId]) -> dict[KernelId, KernelSpec]: ...

    async def find_login(self, image: str) -> RegistryLogin | None:
        """What the registry of an image is to be asked with; None where nobody gave anything.

        Raises ServerMisconfigured when it cannot be opened."""
        ...

    async def move(self, moves: Sequence[Move], now: datetime) -> list[MovedKernel]:
        """Raises Stale and KernelNotFound, and nothing is moved then."""
        ...

    async def load_overdue(self, now: datetime) -> list[KernelCase]:
        """Kernels whose deadline has passed."""
        ...

    async def note_use(self, uses: Mapping[KernelId, Mapping[str, Any]]) -> None: ...

    async def hear(
        self,
        agent_id: AgentId,
        instance: str,
        gap_seconds: float,
        use: Mapping[str, Any] | None = None,
    ) -> bool:
        """Note a word from a node and how busy it is; False when its report must be recorded
        first."""
        ...

    async def record_report(self, contact: Contact, report: AgentReport) -> None: ...

    async def list_agents(self) -> list[AgentRow]: ...

    async def set_agent_status(self, row: AgentRow, status: AgentStatus, flaps: int) -> bool: ...

    async def load_outbox(self, limit: int) -> list[OutboxRow]:
        """Rows that have not been relayed, oldest first."""
        ...

    async def mark_relayed(self, ids: Sequence[int]) -> None: ...

    async def prune(self, before: datetime) -> int:
        """Delete relayed outbox rows and idempotency rows older than `before`; how many."""
        ...

    async def load_networks(self, there: Sequence[SessionId]) -> Networks:
        """Which sessions need a network of a swarm, and which of those in `there` are over."""
        ...

    async def load_drift(self) -> list[DriftRow]: ...
