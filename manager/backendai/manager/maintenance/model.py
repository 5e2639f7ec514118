"""Whether the cluster runs or is frozen, as values."""

import enum
from dataclasses import dataclass


class ClusterStatus(enum.StrEnum):
    """FROZEN starts nothing new; what runs goes on."""

    RUNNING = "running"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Standing:
    """`active_sessions` are those that hold room on nodes, or are just getting or leaving it."""

    status: ClusterStatus
    active_sessions: int
