"""The agent's decisions, over every small world that hypothesis can think of."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.agent.machine import (
    IMPLICIT_STOPS_MAX,
    Acceptance,
    Action,
    Adopt,
    Clear,
    Conclude,
    Container,
    Desire,
    Discard,
    Hold,
    Launch,
    Lose,
    Phase,
    Refusal,
    Start,
    View,
    accept,
    decide,
)
from backendai.common.contracts.agent import Desired

KERNELS = ("a", "b", "c", "d", "e", "f")
generations = st.integers(1, 3)


def make_container(kernel_id: str = "a", generation: int = 1, phase: Phase = Phase.RUNNING):
    return Container(kernel_id, generation, f"{kernel_id}.{generation}", phase)


def make_desire(kernel_id: str = "a", generation: int = 1, **changes: object) -> Desire:
    return replace(Desire(kernel_id, generation, Desired.RUNNING), **changes)


def make_view(*containers: Container, desires: tuple[Desire, ...] = (), **changes: object) -> View:
    view = View({one.kernel_id: one for one in desires}, tuple(containers))
    return replace(view, **changes)


@st.composite
def views(draw: st.DrawFn) -> View:
    pairs = draw(st.sets(st.tuples(st.sampled_from(KERNELS), generations), max_size=12))
    containers = [
        Container(kernel, generation, f"{kernel}.{generation}", draw(st.sampled_from(Phase)))
        for kernel, generation in sorted(pairs)
    ]
    desires = [
        Desire(
            kernel,
            draw(generations),
            draw(st.sampled_from(Desired)),
            fresh=draw(st.booleans()),
            launched=draw(st.booleans()),
            ended=draw(st.booleans()),
        )
        for kernel in draw(st.sets(st.sampled_from(KERNELS)))
    ]
    settled = draw(st.sets(st.sampled_from(containers))) if containers else set()
    return View(
        desires={one.kernel_id: one for one in desires},
        containers=tuple(containers),
        busy=frozenset(draw(st.sets(st.sampled_from(KERNELS), max_size=2))),
        settled=frozenset((one.kernel_id, one.generation, one.phase) for one in settled),
        living=frozenset(draw(st.sets(st.tuples(st.sampled_from(KERNELS), generations)))),
    )


def kernel_of(action: Action) -> str:
    return (
        action.kernel_id
        if isinstance(action, Launch | Lose | Clear)
        else action.container.kernel_id
    )


@given(views())
@settings(max_examples=150)
def test_a_container_is_stopped_only_on_gone_or_for_a_newer_generation(view: View) -> None:
    for action in decide(view).actions:
        if isinstance(action, Discard):
            desire = view.desires[action.container.kernel_id]
            is_older = action.container.generation < desire.generation
            is_same = action.container.generation == desire.generation
            assert is_older or (is_same and desire.desired is Desired.GONE)


@given(views())
def test_nothing_is_done_to_a_kernel_that_a_task_works_on(view: View) -> None:
    assert not {kernel_of(action) for action in decide(view).actions} & view.busy


@given(views())
def test_a_kernel_is_launched_only_where_nothing_of_it_is_left(view: View) -> None:
    present = {one.kernel_id for one in view.containers}
    for action in decide(view).actions:
        if isinstance(action, Launch):
            desire = view.desires[action.kernel_id]
            assert action.kernel_id not in present
            assert desire.desired is Desired.RUNNING
            assert not desire.launched
            assert not desire.ended


@given(views())
def test_gone_is_reported_only_where_nothing_of_it_is_left(view: View) -> None:
    present = {one.kernel_id for one in view.containers}
    for action in decide(view).actions:
        if isinstance(action, Clear):
            assert action.kernel_id not in present
            assert view.desires[action.kernel_id].desired is Desired.GONE


@given(views())
def test_orders_read_from_files_do_not_stop_many(view: View) -> None:
    decision = decide(view)
    living = [one for one in view.containers if one.phase is Phase.RUNNING]
    implicit = [
        action
        for action in decision.actions
        if isinstance(action, Discard)
        and action.container.phase is Phase.RUNNING
        and not view.desires[action.container.kernel_id].fresh
        and view.desires[action.container.kernel_id].desired is Desired.RUNNING
    ]
    assert len(implicit) <= max(IMPLICIT_STOPS_MAX, 0.2 * len(living))
    if implicit:
        assert not decision.halted


@given(views())
def test_without_orders_nothing_is_started_stopped_or_cleared(view: View) -> None:
    decision = decide(replace(view, desires={}))
    assert all(isinstance(action, Adopt | Conclude | Hold | Lose) for action in decision.actions)


@given(views())
def test_decisions_do_not_depend_on_the_order_of_the_listing(view: View) -> None:
    turned = replace(view, containers=tuple(reversed(view.containers)))
    assert decide(turned) == decide(view)


orders = st.builds(Desire, st.just("a"), generations, st.sampled_from(Desired), fresh=st.just(True))


@given(st.lists(orders, min_size=1, max_size=6))
def test_the_highest_generation_wins_and_gone_beats_running(given_orders: list[Desire]) -> None:
    known: Desire | None = None
    for order in given_orders:
        verdict = accept(order, known, [])
        if isinstance(verdict, Refusal):
            assert order.generation < verdict.seen
        else:
            known = verdict.desire
    newest = max(order.generation for order in given_orders)
    assert known is not None
    assert known.generation == newest
    same = [order for order in given_orders if order.generation == newest]
    assert (known.desired is Desired.GONE) == any(one.desired is Desired.GONE for one in same)


def test_an_order_older_than_a_running_container_is_refused() -> None:
    assert accept(make_desire(generation=1), None, [2]) == Refusal(2)


def test_a_repeated_order_changes_nothing_but_is_fresh_again() -> None:
    known = make_desire(fresh=False, launched=True)
    verdict = accept(make_desire(), known, [])
    assert verdict == Acceptance(replace(known, fresh=True), changed=False)


def test_a_tombstone_beats_a_late_create() -> None:
    gone = make_desire(desired=Desired.GONE)
    assert accept(make_desire(), gone, []) == Acceptance(gone, changed=False)
    late = make_view(make_container(phase=Phase.CREATED), desires=(gone,))
    assert decide(late).actions == (Discard(late.containers[0], 5.0, "", True),)


def test_a_created_container_is_started_when_desired_and_held_when_unknown() -> None:
    created = make_container(phase=Phase.CREATED)
    assert decide(make_view(created, desires=(make_desire(),))).actions == (Start(created),)
    assert decide(make_view(created)).actions == (Hold(created),)


def test_a_running_container_without_an_order_is_adopted_once() -> None:
    running = make_container()
    assert decide(make_view(running)).actions == (Adopt(running),)
    settled = frozenset({("a", 1, Phase.RUNNING)})
    assert decide(make_view(running, settled=settled)).actions == ()


def test_a_newer_generation_takes_the_place_of_an_older_one() -> None:
    old, desire = make_container(), make_desire(generation=2)
    assert decide(make_view(old, desires=(desire,))).actions == (Discard(old, 5.0, "", False),)
    assert decide(make_view(desires=(desire,))).actions == (Launch("a", 2),)


def test_a_stale_order_from_a_file_does_not_touch_a_newer_container() -> None:
    newer, stale = make_container(generation=3), make_desire(desired=Desired.GONE, fresh=False)
    assert decide(make_view(newer, desires=(stale,))).actions == (Adopt(newer),)


def test_a_launched_container_that_is_not_there_was_removed_by_somebody() -> None:
    assert decide(make_view(desires=(make_desire(launched=True),))).actions == (Lose("a", 1),)


def test_a_kernel_that_lived_without_an_order_and_vanished_is_lost() -> None:
    assert decide(make_view(living=frozenset({("a", 2)}))).actions == (Lose("a", 2),)


def test_an_ended_kernel_stays_ended() -> None:
    assert decide(make_view(desires=(make_desire(ended=True),))).actions == ()


def test_many_stops_from_files_are_halted_and_fresh_ones_are_not() -> None:
    containers = [make_container(kernel) for kernel in KERNELS]
    stale = tuple(make_desire(kernel, 2, fresh=False) for kernel in KERNELS)
    halted = decide(make_view(*containers, desires=stale))
    assert halted.actions == ()
    assert "6 of 6" in halted.halted
    fresh = tuple(replace(one, fresh=True) for one in stale)
    assert len(decide(make_view(*containers, desires=fresh)).actions) == len(KERNELS)
    gone = tuple(replace(one, desired=Desired.GONE) for one in stale)
    assert len(decide(make_view(*containers, desires=gone)).actions) == len(KERNELS)
