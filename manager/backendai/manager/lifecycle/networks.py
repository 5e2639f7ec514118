"""PURE: what nodes that manage a swarm are told about networks of sessions over several nodes.

Sessions are the truth, and what those nodes report is the level: a network is made while kernels of
its session hold a node of the swarm, and removed when the session is over. One whose session is not
known, as after a backup was put back, is left alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from backendai.common.contracts.agent import CLUSTER_NETWORK_PATTERN, SwarmReport
from backendai.common.ids import AgentId, SessionId, uuid_of

from .specs import network_of

_NAME: Final = re.compile(CLUSTER_NETWORK_PATTERN)


@dataclass(frozen=True, slots=True)
class Networks:
    """`wanted`: the sessions that need one, each with the ids of nodes that manage the swarm where
    its kernels are. `over`: those that ended, of all that have one."""

    wanted: Mapping[SessionId, frozenset[str]]
    over: frozenset[SessionId]


@dataclass(frozen=True, slots=True)
class NetworkOrder:
    agent_id: AgentId
    name: str
    is_wanted: bool


def sessions_in(swarms: Iterable[SwarmReport]) -> list[SessionId]:
    """Whose networks are there."""
    names = {name for swarm in swarms for name in swarm.networks if _NAME.match(name)}
    ids = (uuid_of(name.partition("-")[2]) for name in sorted(names))
    return [SessionId(found) for found in ids if found is not None]


def decide_networks(
    swarms: Mapping[AgentId, SwarmReport], networks: Networks
) -> list[NetworkOrder]:
    """`swarms` are those of nodes that manage one. Each of several is told: whichever comes first
    has done it for all."""
    orders: list[NetworkOrder] = []
    over = {network_of(session_id) for session_id in networks.over}
    for agent_id, swarm in sorted(swarms.items()):
        needed = {
            network_of(session_id)
            for session_id, managers in networks.wanted.items()
            if swarm.node_id in managers
        }
        there = set(swarm.networks)
        orders += [NetworkOrder(agent_id, name, True) for name in sorted(needed - there)]
        orders += [NetworkOrder(agent_id, name, False) for name in sorted(over & there)]
    return orders
