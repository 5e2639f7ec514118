"""Which networks of sessions nodes that manage a swarm are told to make and to remove."""

import uuid

from backendai.common.contracts.agent import SwarmReport
from backendai.common.ids import AgentId, SessionId
from backendai.manager.lifecycle.networks import (
    NetworkOrder,
    Networks,
    decide_networks,
    sessions_in,
)
from backendai.manager.lifecycle.specs import network_of

FIRST, SECOND = (SessionId(uuid.UUID(int=number)) for number in (1, 2))
A, B = AgentId("a"), AgentId("b")


def swarm(node_id: str, *there: SessionId) -> SwarmReport:
    names = [network_of(one) for one in there]
    return SwarmReport(node_id=node_id, swarm_id="s", managers=["n0"], networks=names)


def test_each_node_that_manages_the_swarm_of_a_session_is_told_to_make_its_network() -> None:
    networks = Networks({FIRST: frozenset({"n0", "n1"})}, frozenset())
    swarms = {A: swarm("n0"), B: swarm("n1"), AgentId("c"): swarm("elsewhere")}
    name = network_of(FIRST)
    assert decide_networks(swarms, networks) == [
        NetworkOrder(A, name, True),
        NetworkOrder(B, name, True),
    ]
    there = {A: swarm("n0", FIRST), B: swarm("n1", FIRST)}
    assert decide_networks(there, networks) == []


def test_only_networks_of_sessions_that_ended_are_removed() -> None:
    networks = Networks({}, frozenset({FIRST}))
    assert decide_networks({A: swarm("n0", FIRST, SECOND)}, networks) == [
        NetworkOrder(A, network_of(FIRST), False)
    ]
    assert decide_networks({A: swarm("n0")}, networks) == []


def test_whose_networks_are_there_is_read_from_their_names() -> None:
    odd = SwarmReport(node_id="n0", networks=["bai-x", "ingress", network_of(SECOND) + "0"])
    assert sessions_in([swarm("n0", FIRST), odd, swarm("n1", FIRST, SECOND)]) == [FIRST, SECOND]
