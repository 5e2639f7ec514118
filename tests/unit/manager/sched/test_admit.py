"""The last look: what changed since the plan was made is refused, one after the other."""

import uuid
from dataclasses import replace
from typing import Any

from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.common.lifecycle import KernelEvent
from backendai.manager.sched.admit import Candidate, admit, moves_of
from backendai.manager.sched.placement import KernelPlacement, Placement
from backendai.manager.sched.swarms import is_one_swarm
from backendai.manager.sched.view import Node, Quota, Swarm

NODE = Node(
    id=AgentId("a"), group="default", architecture="x86_64", capacity={"cpu": 2}, occupied={}
)
SCOPE = ("keypair", "k")


def placed(number: int, agent: str = "a", revision: int = 0) -> Placement:
    kernel = KernelPlacement(KernelId(uuid.UUID(int=number)), Revision(revision), AgentId(agent))
    return Placement(SessionId(uuid.UUID(int=100 + number)), (kernel,))


def candidate(number: int, revision: int = 0, cpu: int = 1, **changes: Any) -> Candidate:
    kernel_id = KernelId(uuid.UUID(int=number))
    return Candidate(
        SessionId(uuid.UUID(int=100 + number)),
        (SCOPE,),
        changes.get("waiting", {kernel_id: Revision(revision)}),
        {kernel_id: {"cpu": cpu}},
    )


def run(placements: list[Placement], candidates: list[Candidate], **options: Any) -> list[int]:
    """The numbers of those admitted."""
    admitted, refused = admit(
        placements,
        {one.session_id: one for one in candidates},
        options.get("nodes", [NODE]),
        options.get("quotas", {}),
    )
    assert len(admitted) + len(refused) == len(placements)
    return [one.session_id.int - 100 for one in admitted]


def test_room_is_counted_down() -> None:
    numbers = [1, 2, 3]
    assert run([placed(n) for n in numbers], [candidate(n) for n in numbers]) == [1, 2]


def test_what_moved_meanwhile_is_refused() -> None:
    assert run([placed(1)], [candidate(1, revision=1)]) == []
    assert run([placed(1)], [candidate(1, waiting={})]) == []
    assert run([placed(1)], []) == []


def test_a_node_that_vanished_or_fell_ill_is_refused() -> None:
    assert run([placed(1, agent="b")], [candidate(1)]) == []
    ill = Node(
        id=AgentId("a"),
        group="default",
        architecture="x86_64",
        capacity={"cpu": 2},
        occupied={},
        is_schedulable=False,
    )
    assert run([placed(1)], [candidate(1)], nodes=[ill]) == []


def test_a_session_over_several_nodes_needs_them_in_one_swarm_still() -> None:
    spread = replace(candidate(1), is_spread=True)
    assert run([placed(1)], [spread]) == []
    joined = replace(NODE, swarm=Swarm("n1", "", frozenset({"n0"})))
    assert run([placed(1)], [spread], nodes=[joined]) == [1]
    assert is_one_swarm([joined.swarm, Swarm("n0", "s", frozenset({"n0", "n2"}))])
    assert not is_one_swarm([joined.swarm, Swarm("x0", "x", frozenset({"x0"}))])
    assert not is_one_swarm([])


def test_quotas_are_looked_at_again() -> None:
    quotas = {SCOPE: Quota(scope="keypair", name="k", sessions_max=2, sessions=1)}
    numbers = [1, 2]
    kept = run([placed(n) for n in numbers], [candidate(n) for n in numbers], quotas=quotas)
    assert kept == [1]


def test_admitted_placements_become_guarded_moves() -> None:
    (move,) = moves_of([placed(1, revision=4)])
    assert move.event is KernelEvent.PLACE
    assert move.expected_revision == 4
    assert move.agent_id == "a"
