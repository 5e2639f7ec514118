"""PURE: which nodes can share a network over several of them: those of one Docker Swarm.

Only a node that manages the swarm can make a network there. So a swarm is of use while an agent
that answers runs on one of its managers; the other nodes are found by whom they know as managers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backendai.common.enums import AgentStatus

from .view import Node, Swarm


def read_swarm(stored: Mapping[str, Any]) -> Swarm:
    """From the column of a node, as its report wrote it."""
    return Swarm(
        stored.get("node_id", ""),
        stored.get("swarm_id", ""),
        frozenset(stored.get("managers", ())),
    )


def find_swarms(nodes: Sequence[Node]) -> list[str]:
    """For each node the id of the swarm in which it can have a network; empty: in none."""
    served = {
        node.swarm.node_id: node.swarm.swarm_id
        for node in nodes
        if node.swarm.swarm_id and node.status is AgentStatus.ALIVE and node.is_engine_reachable
    }
    return [_swarm_of(node.swarm, served) for node in nodes]


def _swarm_of(swarm: Swarm, served: Mapping[str, str]) -> str:
    known = sorted(served[one] for one in swarm.managers & served.keys())
    return known[0] if known else ""


def is_one_swarm(swarms: Iterable[Swarm]) -> bool:
    """Whether all know a manager in common."""
    shared = [one.managers for one in swarms]
    return bool(shared) and bool(frozenset.intersection(*shared))
