"""The planner: order, fit, gangs, quotas, protection of the first in the queue, reasons."""

import itertools
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.common.enums import AgentStatus, PlacementStrategy
from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.manager.sched.plan import PATIENCE, Plan, explain_each, plan
from backendai.manager.sched.reasons import Cause, Rule, WaitReason, no_room
from backendai.manager.sched.view import (
    Ask,
    Dependency,
    DependencyState,
    Group,
    KernelAsk,
    Node,
    Quota,
    Swarm,
    View,
    designate,
    units_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SWARM = Swarm("n0", "swarm", frozenset({"n0"}))
WORKER = Swarm("n1", "", frozenset({"n0"}))
_numbers = itertools.count(1)


def make_node(name: str, cpu: str = "4", mem: str = "8589934592", **changes: Any) -> Node:
    node = Node(
        id=AgentId(name),
        group="default",
        architecture="x86_64",
        capacity=units_of({"cpu": cpu, "mem": mem}),
        occupied={},
        swarm=SWARM,
    )
    return replace(node, **changes)


def make_ask(*cpus: str, at: float = 0.0, mem: str = "1073741824", **changes: Any) -> Ask:
    """One kernel for each of `cpus` (one of a core when there is none)."""
    kernels = tuple(
        KernelAsk(
            KernelId(uuid.UUID(int=next(_numbers))),
            Revision(0),
            tuple(sorted(units_of({"cpu": cpu, "mem": mem}).items())),
            "x86_64",
        )
        for cpu in cpus or ("1",)
    )
    ask = Ask(
        session_id=SessionId(uuid.UUID(int=next(_numbers))),
        group="default",
        kernels=kernels,
        priority=10,
        created_at=NOW + timedelta(seconds=at),
    )
    return replace(ask, **changes)


def decide(
    nodes: Iterable[Node],
    asks: Iterable[Ask],
    strategy: PlacementStrategy = PlacementStrategy.DISPERSED,
    *,
    quotas: Mapping[tuple[str, str], Quota] | None = None,
    now: datetime = NOW,
) -> Plan:
    return plan(View.of(nodes, asks, [Group("default", strategy)], quotas), now)


def places(made: Plan) -> dict[SessionId, list[str]]:
    return {one.session_id: [k.agent_id for k in one.kernels] for one in made.placements()}


def reason(made: Plan, ask: Ask) -> WaitReason:
    return next(found for one, found in made.waits() if one.session_id == ask.session_id)


def test_nothing_waits_nothing_happens() -> None:
    made = decide([make_node("a")], [])
    assert not places(made)
    assert not list(made.waits())


def test_without_nodes_all_wait_and_are_told_so() -> None:
    ask = make_ask()
    told = reason(decide([], [ask]), ask)
    assert told.rule is Rule.ROOM
    assert "no nodes" in told.detail


def test_first_come_first_served() -> None:
    first, second = make_ask("4", at=0), make_ask("4", at=1)
    made = decide([make_node("a")], [second, first])
    assert list(places(made)) == [first.session_id]


def test_a_higher_priority_goes_first() -> None:
    early, urgent = make_ask("4", at=0), make_ask("4", at=1, priority=20)
    assert list(places(decide([make_node("a")], [early, urgent]))) == [urgent.session_id]


def test_a_smaller_one_may_pass_a_head_that_does_not_fit() -> None:
    head, small = make_ask("8", at=0), make_ask("1", at=1)
    assert list(places(decide([make_node("a")], [head, small]))) == [small.session_id]


def test_a_head_that_waited_too_long_keeps_a_node_for_itself() -> None:
    nodes = [
        make_node("a", occupied=units_of({"cpu": "2"})),
        make_node("b", occupied=units_of({"cpu": "3"})),
    ]
    head, small = make_ask("4", at=0), make_ask("1", at=1)
    soon = places(decide(nodes, [head, small], now=NOW + PATIENCE / 2))
    late = places(decide(nodes, [head, small], now=NOW + PATIENCE * 2))
    assert soon[small.session_id] == ["a"]
    assert late[small.session_id] == ["b"]


def test_a_head_too_large_for_any_node_reserves_nothing() -> None:
    head, small = make_ask("64", at=0), make_ask("1", at=1)
    made = decide([make_node("a")], [head, small], now=NOW + PATIENCE * 2)
    assert list(places(made)) == [small.session_id]
    assert "large enough" in reason(made, head).detail


def test_the_reserved_node_is_told_as_a_cause() -> None:
    head, small = make_ask("4", at=0), make_ask("1", at=1)
    nodes = [make_node("a", occupied=units_of({"cpu": "2"}))]
    made = decide(nodes, [head, small], now=NOW + PATIENCE * 2)
    told = reason(made, small)
    assert told.causes == {Cause.RESERVED: 1}
    assert told.detail.endswith("(1 node kept free for a session that has waited longer).")


def test_every_cause_has_words() -> None:
    for cause in Cause:
        told = no_room({"cpu": 2}, {}, {cause: 2}, 2, can_ever_fit=True).detail
        assert cause.value not in told
        assert "2 nodes " in told
    scarce = no_room({"cpu": 2}, {}, {"not-enough-cpu": 1}, 2, can_ever_fit=True)
    assert "1 node with too little cpu free" in scarce.detail


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [(PlacementStrategy.CONCENTRATED, {"used"}), (PlacementStrategy.DISPERSED, {"empty"})],
)
@pytest.mark.parametrize("count", [1, 2, 20])
def test_strategies(strategy: PlacementStrategy, wanted: set[str], count: int) -> None:
    nodes = [
        make_node("empty", cpu="64", mem="99999999999"),
        make_node("used", cpu="64", mem="99999999999", occupied=units_of({"cpu": "30"})),
    ]
    asks = [make_ask(mem="1048576") for _ in range(count)]
    made = places(decide(nodes, asks, strategy))
    assert {agent for agents in made.values() for agent in agents} == wanted


def test_many_identical_asks_are_spread_evenly() -> None:
    nodes = [make_node(f"n{number}") for number in range(4)]
    made = places(decide(nodes, [make_ask() for _ in range(16)]))
    agents = [agents[0] for agents in made.values()]
    assert sorted(agents.count(f"n{number}") for number in range(4)) == [4, 4, 4, 4]


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    nodes = [make_node("a", cpu="2"), make_node("b", cpu="1")]
    fits = make_ask("1", "1", "1", is_single_node=False)
    too_large = make_ask("1", "1", "1", "1", is_single_node=False)
    assert sorted(places(decide(nodes, [fits]))[fits.session_id]) == ["a", "a", "b"]
    made = decide(nodes, [too_large])
    assert not places(made)
    assert reason(made, too_large).causes
    after = decide(nodes, [too_large, make_ask("2", at=5)])
    assert list(places(after).values()) == [["a"]]


def gang(*cpus: str) -> Ask:
    return make_ask(*cpus, is_single_node=False)


def test_a_gang_goes_to_nodes_of_one_swarm() -> None:
    nodes = [
        make_node("apart", swarm=Swarm()),
        make_node("manager", cpu="1"),
        make_node("worker", cpu="1", swarm=WORKER),
    ]
    ask, wide = gang("1", "1"), gang("1", "1", "1")
    assert sorted(places(decide(nodes, [ask]))[ask.session_id]) == ["manager", "worker"]
    told = reason(decide(nodes, [wide]), wide)
    assert told.rule is Rule.ROOM
    assert told.causes[Cause.NOT_IN_SWARM] == 1
    assert "1 node outside of the Docker Swarm" in told.detail


def send(ask: Ask, *designated: tuple[str, ...]) -> Ask:
    kernels = zip(ask.kernels, designated, strict=True)
    return replace(ask, kernels=tuple(replace(one, designated=to) for one, to in kernels))


@pytest.mark.parametrize(
    ("asked", "holders", "is_single_node", "due"),
    [
        ((), ((), ()), True, [(), ()]),
        # Those of a superadmin: in their order, or for all.
        (("b", "a"), ((), ()), False, [("b",), ("a",)]),
        (("b",), (("a",), ()), True, [("b",), ("b",)]),
        (("a", "b", "c"), ((), ()), False, [("a", "b", "c")] * 2),
        # Where images are that others cannot get: each kernel to its own, or all to a common one.
        ((), (("a",), ("b", "c")), False, [("a",), ("b", "c")]),
        ((), (("b", "a"), ()), False, [("a", "b"), ()]),
        ((), (("b", "a"), ("b", "a")), False, [("a", "b"), ("a", "b")]),
        ((), (("a", "b"), ("b", "c"), ()), True, [("b",)] * 3),
    ],
)
def test_kernels_are_designated(
    asked: tuple[str, ...],
    holders: tuple[tuple[str, ...], ...],
    is_single_node: bool,
    due: list[tuple[str, ...]],
) -> None:
    assert designate(asked, holders, is_single_node=is_single_node) == due


def test_each_kernel_goes_to_its_designated_node() -> None:
    nodes = [make_node("a"), make_node("b", swarm=WORKER)]
    ask = send(gang("1", "1", "1"), ("b",), ("a",), ("b",))
    assert places(decide(nodes, [ask]))[ask.session_id] == ["b", "a", "b"]
    either = send(ask, ("a", "b"), ("a", "b"), ())
    assert set(places(decide(nodes[:1], [either]))[ask.session_id]) == {"a"}
    assert not places(decide(nodes[:1], [ask]))


def test_another_swarm_is_tried_where_the_largest_has_no_room() -> None:
    other = Swarm("x0", "other", frozenset({"x0"}))
    nodes = [
        make_node("a", cpu="1"),
        make_node("b", cpu="1", swarm=WORKER),
        make_node("c", cpu="1", swarm=WORKER),
        make_node("d", swarm=other),
        make_node("e", swarm=replace(other, node_id="x1", swarm_id="")),
    ]
    ask = gang("4", "4")
    assert sorted(places(decide(nodes, [ask]))[ask.session_id]) == ["d", "e"]
    # What was tried in vain takes no room from who comes behind.
    both = [ask, replace(gang("1", "1", "1"), created_at=NOW + timedelta(seconds=1))]
    assert len(places(decide(nodes, both))) == 2


def test_without_a_swarm_a_gang_is_told_what_an_administrator_can_do() -> None:
    ask = gang("1", "1")
    told = reason(decide([make_node("a", swarm=Swarm())], [ask]), ask)
    assert told.rule is Rule.NETWORK
    assert told.causes == {Cause.NOT_IN_SWARM: 1}
    assert "docker swarm init" in told.detail
    assert "single-node" in told.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"swarm": Swarm("n0", "", frozenset({"n0"}))},
        {"status": AgentStatus.LOST},
        {"is_engine_reachable": False},
    ],
)
def test_a_swarm_none_of_whose_managers_answers_is_of_no_use(changes: dict[str, Any]) -> None:
    ask = gang("1", "1")
    nodes = [make_node("worker", swarm=WORKER), make_node("manager", **changes)]
    told = reason(decide(nodes, [ask]), ask)
    assert told.rule is Rule.NETWORK
    assert told.causes == {Cause.SWARM_UNMANAGED: 2}
    assert "promote" in told.detail


def test_a_manager_that_takes_no_sessions_still_makes_networks() -> None:
    ask = gang("1", "1")
    nodes = [make_node("worker", swarm=WORKER), make_node("manager", is_schedulable=False)]
    assert places(decide(nodes, [ask]))[ask.session_id] == ["worker", "worker"]


def test_a_single_node_cluster_shares_one_node() -> None:
    nodes = [make_node("a", cpu="2"), make_node("b", cpu="3")]
    ask = make_ask("1", "1", "1")
    assert places(decide(nodes, [ask]))[ask.session_id] == ["b", "b", "b"]
    assert not places(decide([make_node("a", cpu="2"), make_node("c", cpu="2")], [ask]))


def test_every_cause_is_counted() -> None:
    nodes = [
        make_node("lost", status=AgentStatus.LOST),
        make_node("suspect", status=AgentStatus.SUSPECT),
        make_node("closed", is_schedulable=False),
        make_node("blind", is_engine_reachable=False),
        make_node("arm", architecture="aarch64"),
        make_node("small", cpu="1"),
        make_node("full", occupied=units_of({"mem": "8589934592"})),
        make_node("elsewhere", group="other"),
    ]
    ask = make_ask("2")
    assert reason(decide(nodes, [ask]), ask).causes == {
        Cause.LOST: 1,
        Cause.SUSPECT: 1,
        Cause.NOT_SCHEDULABLE: 1,
        Cause.ENGINE_UNREACHABLE: 1,
        Cause.WRONG_ARCHITECTURE: 1,
        "not-enough-cpu": 1,
        "not-enough-mem": 1,
    }


def test_designated_nodes_are_the_only_ones() -> None:
    nodes = [make_node("a"), make_node("b")]
    ask = send(make_ask(), ("b",))
    assert places(decide(nodes, [ask]))[ask.session_id] == ["b"]
    told = reason(decide(nodes[:1], [ask]), ask)
    assert told.causes == {Cause.NOT_DESIGNATED: 1}


def test_where_it_failed_before_is_tried_last() -> None:
    ask = make_ask()
    failed = replace(ask, kernels=(replace(ask.kernels[0], failed_agents=("a",)),))
    both = decide([make_node("a"), make_node("b", occupied=units_of({"cpu": "3"}))], [failed])
    assert places(both)[ask.session_id] == ["b"]
    assert places(decide([make_node("a")], [failed]))[ask.session_id] == ["a"]


def test_a_start_time_in_the_future_holds_back() -> None:
    ask = make_ask(starts_at=NOW + timedelta(hours=1))
    assert reason(decide([make_node("a")], [ask]), ask).rule is Rule.STARTS_AT
    assert places(decide([make_node("a")], [ask], now=NOW + timedelta(hours=2)))


def test_dependencies_hold_back_by_name() -> None:
    def depending(state: DependencyState) -> Ask:
        other = Dependency(SessionId(uuid.UUID(int=1)), "prepare", "RUNNING", state)
        return make_ask(dependencies=(other,))

    waiting = depending(DependencyState.WAITING)
    told = reason(decide([make_node("a")], [waiting]), waiting)
    assert told.rule is Rule.DEPENDENCIES
    assert "prepare" in told.detail
    assert places(decide([make_node("a")], [depending(DependencyState.DONE)]))


def test_a_closed_or_unknown_group_takes_nothing() -> None:
    ask, stranger = make_ask(), make_ask(group="nowhere")
    view = View.of([make_node("a")], [ask, stranger], [Group("default", is_active=False)])
    rules = {found.rule for _, found in plan(view, NOW).waits()}
    assert rules == {Rule.RESOURCE_GROUP}


@pytest.mark.parametrize("count", [3, 30])
def test_the_session_quota_counts_what_runs_and_what_is_placed(count: int) -> None:
    scope = ("keypair", "k")
    asks = [make_ask(at=number, scopes=(scope,)) for number in range(count)]
    quota = Quota(scope="keypair", name="k", sessions_max=3, sessions=1)
    made = decide([make_node("a", cpu="99", mem="999999999999")], asks, quotas={scope: quota})
    assert len(places(made)) == 2
    told = reason(made, asks[-1])
    assert told.rule is Rule.QUOTA
    assert told.have == {"limit": "3", "used": "3", "scope": "keypair"}


def test_slot_quotas_of_every_scope_hold() -> None:
    project, domain = ("project", "p"), ("domain", "d")
    quotas = {
        project: Quota(scope="project", name="p", slots_max=units_of({"cpu": "100"})),
        domain: Quota(
            scope="domain",
            name="d",
            slots_max=units_of({"cpu": "4"}),
            slots=units_of({"cpu": "2.5"}),
        ),
    }
    asks = [make_ask(at=number, scopes=(project, domain)) for number in range(2)]
    made = decide([make_node("a")], asks, quotas=quotas)
    assert list(places(made)) == [asks[0].session_id]
    assert reason(made, asks[1]).have["used"] == "3.5"


def test_a_closed_quota_forbids_what_it_does_not_name() -> None:
    scope = ("keypair", "k")
    quota = Quota(scope="keypair", name="k", slots_max=units_of({"cpu": "4"}), is_closed=True)
    ask = make_ask(scopes=(scope,))
    told = reason(decide([make_node("a")], [ask], quotas={scope: quota}), ask)
    assert told.need == {"mem": "1g"}


def test_a_slot_that_no_node_has_is_named() -> None:
    ask = make_ask()
    slots = (*ask.kernels[0].slots, ("cuda.device", 1_000_000))
    ask = replace(ask, kernels=(replace(ask.kernels[0], slots=slots),))
    assert reason(decide([make_node("a")], [ask]), ask).causes == {"not-enough-cuda.device": 1}


def test_a_node_that_holds_more_than_it_has_takes_nothing_more() -> None:
    ask = make_ask()
    made = decide([make_node("a", occupied=units_of({"cpu": "6"}))], [ask] * 1)
    assert not places(made)


amounts = st.sampled_from(["0.5", "1", "2", "3"])
sessions = st.lists(
    st.tuples(st.lists(amounts, min_size=1, max_size=3), st.booleans()), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(
    capacities=st.lists(st.sampled_from(["1", "2", "4", "8"]), max_size=5),
    wishes=sessions,
    strategy=st.sampled_from(list(PlacementStrategy)),
    seed=st.integers(0, 100),
)
def test_any_plan_fits_is_whole_and_explains_the_rest(
    capacities: list[str],
    wishes: list[tuple[list[str], bool]],
    strategy: PlacementStrategy,
    seed: int,
) -> None:
    nodes = [make_node(f"n{number}", cpu=cpu) for number, cpu in enumerate(capacities)]
    asks = [make_ask(*cpus, at=0, is_single_node=single) for cpus, single in wishes]
    view = View.of(nodes, asks, [Group("default", strategy)])
    made = plan(view, NOW, seed)
    by_id = {ask.session_id: ask for ask in asks}
    used: dict[str, int] = {}
    for placement in made.placements():
        ask = by_id[placement.session_id]
        assert len(placement.kernels) == len(ask.kernels)
        if ask.is_single_node:
            assert len({kernel.agent_id for kernel in placement.kernels}) == 1
        for placed, kernel in zip(placement.kernels, ask.kernels, strict=True):
            used[placed.agent_id] = used.get(placed.agent_id, 0) + dict(kernel.slots)["cpu"]
    for node in nodes:
        assert used.get(node.id, 0) <= node.capacity["cpu"]
    waits = list(made.waits())
    assert len(waits) + len(list(made.placements())) == len(asks)
    for ask, why in waits:
        is_cut_off = not nodes and len(ask.kernels) > 1 and not ask.is_single_node
        assert why.rule is (Rule.NETWORK if is_cut_off else Rule.ROOM)
        assert sum(why.causes.values()) == len(nodes)


@settings(max_examples=60, deadline=None)
@given(
    capacities=st.lists(st.sampled_from(["2", "4", "8"]), min_size=1, max_size=5),
    count=st.integers(1, 40),
)
def test_what_fits_alone_waits_only_when_the_cluster_is_full(
    capacities: list[str], count: int
) -> None:
    nodes = [make_node(f"n{n}", cpu=cpu, mem="999999999999") for n, cpu in enumerate(capacities)]
    asks = [make_ask("1") for _ in range(count)]
    made = decide(nodes, asks)
    assert len(places(made)) == min(count, sum(int(cpu) for cpu in capacities))


@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(0, 6),
)
@settings(max_examples=200, deadline=None)
def test_what_is_said_of_one_alone_is_what_the_plan_does(
    used: list[int], wishes: list[int], limit: int
) -> None:
    nodes = [
        make_node(f"n{index}", occupied=units_of({"cpu": str(cpu)}))
        for index, cpu in enumerate(used)
    ]
    scope = ("keypair", "k")
    asks = [make_ask(str(cpu), at=index, scopes=(scope,)) for index, cpu in enumerate(wishes)]
    quotas = {scope: Quota(scope="keypair", name="k", slots_max=units_of({"cpu": str(limit)}))}
    told = explain_each(View.of(nodes, asks, [Group("default")], quotas), NOW)
    for ask, said in zip(asks, told, strict=True):
        made = decide(nodes, [ask], quotas=quotas)
        assert said == (None if places(made) else reason(made, ask))


def test_one_alone_in_a_closed_group_is_told_so() -> None:
    view = View.of([make_node("a")], [make_ask()], [Group("default", is_active=False)])
    [said] = explain_each(view, NOW)
    assert said is not None
    assert said.rule is Rule.RESOURCE_GROUP
