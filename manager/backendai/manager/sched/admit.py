"""PURE: the last look before placements are written, made on rows that are locked.

A plan is made from a view that may be old. What does not hold any more is refused; the session
stays in the queue and the next plan decides again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelEvent
from backendai.manager.lifecycle.model import Move

from .placement import Placement
from .shares import Shares
from .swarms import is_one_swarm
from .view import Node, Quota, ScopeKey


@dataclass(frozen=True, slots=True)
class Candidate:
    """A session's kernels as they are now: their slots, and the revisions of those that wait.
    `is_spread`: they may be on several nodes, which must be of one swarm then."""

    session_id: SessionId
    scopes: tuple[ScopeKey, ...]
    waiting: Mapping[KernelId, Revision]
    slots: Mapping[KernelId, Mapping[str, int]]
    is_spread: bool = False


def admit(
    placements: Sequence[Placement],
    candidates: Mapping[SessionId, Candidate],
    nodes: Iterable[Node],
    quotas: Mapping[ScopeKey, Quota],
) -> tuple[list[Placement], list[Placement]]:
    """Split placements into those that still hold, one after the other, and those that do not."""
    taking = {node.id: node for node in nodes if is_taking(node)}
    free = {key: free_of(node) for key, node in taking.items()}
    shares = Shares(quotas)
    admitted: list[Placement] = []
    refused: list[Placement] = []
    for placement in placements:
        candidate = candidates.get(placement.session_id)
        if candidate is None or not _is_unchanged(placement, candidate):
            refused.append(placement)
        elif _is_joined(placement, candidate, taking) and _take(placement, candidate, free, shares):
            admitted.append(placement)
        else:
            refused.append(placement)
    return admitted, refused


def moves_of(placements: Iterable[Placement]) -> list[Move]:
    """What placements ask of the kernels."""
    return [
        Move(
            kernel_id=kernel.kernel_id,
            event=KernelEvent.PLACE,
            expected_revision=kernel.revision,
            agent_id=kernel.agent_id,
        )
        for placement in placements
        for kernel in placement.kernels
    ]


def free_of(node: Node) -> dict[str, int]:
    """What no live allocation holds; below zero where a node has lost capacity."""
    return {slot: whole - node.occupied.get(slot, 0) for slot, whole in node.capacity.items()}


def is_taking(node: Node) -> bool:
    """Whether it takes anything at all now."""
    return node.status is AgentStatus.ALIVE and node.is_schedulable and node.is_engine_reachable


def _is_unchanged(placement: Placement, candidate: Candidate) -> bool:
    planned = {kernel.kernel_id: kernel.revision for kernel in placement.kernels}
    return planned == dict(candidate.waiting) and planned.keys() == candidate.slots.keys()


def _is_joined(placement: Placement, candidate: Candidate, nodes: Mapping[AgentId, Node]) -> bool:
    """Whether the kernels can reach each other, where they are."""
    if not candidate.is_spread:
        return True
    chosen = [nodes.get(kernel.agent_id) for kernel in placement.kernels]
    return is_one_swarm(node.swarm for node in chosen if node is not None)


def _take(
    placement: Placement,
    candidate: Candidate,
    free: Mapping[AgentId, dict[str, int]],
    shares: Shares,
) -> bool:
    """Take the room of all kernels, or nothing."""
    total: dict[str, int] = {}
    by_node: dict[AgentId, dict[str, int]] = {}
    for kernel in placement.kernels:
        on_node = by_node.setdefault(kernel.agent_id, {})
        for slot, amount in candidate.slots[kernel.kernel_id].items():
            on_node[slot] = on_node.get(slot, 0) + amount
            total[slot] = total.get(slot, 0) + amount
    quotas = shares.of(candidate.scopes)
    if shares.room(quotas, total, 1) < 1:
        return False
    for agent_id, need in by_node.items():
        room = free.get(agent_id)
        if room is None or any(amount > room.get(slot, 0) for slot, amount in need.items()):
            return False
    for agent_id, need in by_node.items():
        for slot, amount in need.items():
            free[agent_id][slot] -= amount
    shares.take(quotas, total, 1)
    return True
