"""The values of the nodes: a row of the database, and how long things have lasted by its clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId, SessionId
from backendai.common.lifecycle import SessionStatus

BEATS_MISSED_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """A node. The three `_seconds` are by the database's clock, which all managers share:
    since the last word from it, since words come without a gap, since its status changed."""

    id: AgentId
    status: AgentStatus
    address: str
    public_key: str
    instance: str = ""
    resource_group: str = "default"
    region: str = ""
    architecture: str = "x86_64"
    backend: str = ""
    version: str = ""
    schedulable: bool = True
    engine_reachable: bool = True
    engine_detail: str = ""
    halted: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    swarm: Mapping[str, Any] = field(default_factory=dict)
    first_contact: datetime | None = None
    last_seen_at: datetime | None = None
    lost_at: datetime | None = None
    flaps: int = 0
    silent_seconds: float = 0.0
    steady_seconds: float = 0.0
    status_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Contact:
    """Where an agent says that it listens, and the key that proves that it is the one."""

    agent_id: AgentId
    address: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne, in seconds. A heartbeat is the longest time between two words."""

    heartbeat_seconds: float = 5.0
    beats_missed_max: int = BEATS_MISSED_MAX
    lost_after_seconds: float = 600.0

    @classmethod
    def of_timeouts(cls, heartbeat_timeout: float, lost_after: float) -> "Patience":
        """A node is suspected after `heartbeat_timeout`, of several missed heartbeats."""
        return cls(heartbeat_timeout / BEATS_MISSED_MAX, BEATS_MISSED_MAX, lost_after)

    @property
    def suspect_after_seconds(self) -> float:
        return self.heartbeat_seconds * self.beats_missed_max


@dataclass(frozen=True, slots=True)
class AgentView:
    """A node with what operators ask of it: its slots in all and taken, the kernels that hold
    them."""

    row: AgentRow
    capacity: Mapping[str, Decimal]
    occupied: Mapping[str, Decimal]
    kernels: int


@dataclass(frozen=True, slots=True)
class SessionFate:
    """What a fence makes of a session that has `kernels` on the node."""

    session_id: SessionId
    name: str
    access_key: str
    before: SessionStatus
    after: SessionStatus
    kernels: int


@dataclass(frozen=True, slots=True)
class Fence:
    """What a fence ends, or has ended; `row` is the node as it was before."""

    row: AgentRow
    fates: tuple[SessionFate, ...]

    @property
    def kernels(self) -> int:
        return sum(fate.kernels for fate in self.fates)
