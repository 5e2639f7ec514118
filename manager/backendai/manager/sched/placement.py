"""What a plan decides about a session, as values that need nothing of the planner."""

from dataclasses import dataclass

from backendai.common.ids import AgentId, KernelId, Revision, SessionId


@dataclass(frozen=True, slots=True)
class KernelPlacement:
    kernel_id: KernelId
    revision: Revision
    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class Placement:
    """All kernels of a session with their nodes."""

    session_id: SessionId
    kernels: tuple[KernelPlacement, ...]
