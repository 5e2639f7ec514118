"""Choosing devices: as few as can be, near each other, and exact however it is split."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from backendai.agent.resources.allocate import Candidate, Choice, Strategy, choose

QUANTUM = Decimal("0.05")
ANYWHERE: frozenset[int] = frozenset()


def pool(*free: str, nodes: Sequence[int | None] = ()) -> list[Candidate]:
    nodes = nodes or [None] * len(free)
    return [
        Candidate(index, Decimal(text), Decimal(1), node)
        for index, (text, node) in enumerate(zip(free, nodes, strict=True))
    ]


def pick(
    candidates: list[Candidate],
    wanted: str,
    strategy: Strategy = Strategy.PACK,
    near: frozenset[int] = ANYWHERE,
) -> dict[int, str] | None:
    choice = choose(candidates, Decimal(wanted), strategy, near)
    return None if choice is None else {one.index: str(amount) for one, amount in choice}


def test_packing_fills_what_is_begun() -> None:
    assert pick(pool("1", "0.5", "0.7"), "0.5") == {1: "0.5"}
    assert pick(pool("1", "0.4", "0.7"), "0.5") == {2: "0.5"}
    assert pick(pool("1", "0.4", "0.3"), "0.5") == {0: "0.5"}


def test_spreading_takes_the_emptiest() -> None:
    assert pick(pool("0.5", "1", "0.7"), "0.5", Strategy.SPREAD) == {1: "0.5"}
    assert pick(pool("0.9", "0.9"), "0.5", Strategy.SPREAD) == {0: "0.5"}


def test_fewest_devices_come_first() -> None:
    assert pick(pool("0.5", "0.5", "1"), "1") == {2: "1"}
    assert pick(pool("0.5", "0.5", "1"), "1.5") == {2: "1", 0: "0.5"}
    assert pick(pool("0.5", "0.4", "0.3"), "1.2") == {0: "0.5", 1: "0.4", 2: "0.3"}


def test_what_is_not_there_is_not_given() -> None:
    assert pick(pool("0.5", "0.4"), "1") is None
    assert pick([], "0.1") is None
    assert pick(pool("0"), "0.1") is None


def test_devices_of_one_numa_node_are_taken_together() -> None:
    nodes = (0, 1, 0, 1)
    assert pick(pool("1", "1", "0", "1", nodes=nodes), "2") == {1: "1", 3: "1"}
    # Packed into the node where fewer are left; spread to the one where more are.
    assert pick(pool("1", "1", "0", "1", nodes=nodes), "1") == {0: "1"}
    assert pick(pool("1", "1", "0", "1", nodes=nodes), "1", Strategy.SPREAD) == {1: "1"}


def test_across_numa_nodes_as_few_as_can_be_are_touched() -> None:
    nodes = (0, 0, 1, 1, 1, 2)
    chosen = pick(pool("1", "1", "1", "1", "1", "1", nodes=nodes), "5")
    assert chosen is not None
    assert {nodes[index] for index in chosen} == {0, 1}


def test_what_is_near_is_preferred() -> None:
    devices = pool("1", "1", nodes=(0, 1))
    assert pick(devices, "1", near=frozenset({1})) == {1: "1"}
    assert pick(devices, "1", near=frozenset({7})) == {0: "1"}


amounts = st.integers(0, 20).map(lambda steps: steps * QUANTUM)
pools = st.lists(st.tuples(amounts, st.sampled_from([None, 0, 1])), max_size=8).map(
    lambda rows: [
        Candidate(index, free, Decimal(1), node) for index, (free, node) in enumerate(rows)
    ]
)
wishes = st.integers(1, 100).map(lambda steps: steps * QUANTUM)
strategies = st.sampled_from(Strategy)
places = st.frozensets(st.sampled_from([0, 1]))


def total(choice: Choice) -> Decimal:
    return sum((amount for _, amount in choice), Decimal(0))


@given(pools, wishes, strategies, places)
def test_a_choice_is_exact_and_takes_no_more_than_is_free(
    candidates: list[Candidate], wanted: Decimal, strategy: Strategy, near: frozenset[int]
) -> None:
    choice = choose(candidates, wanted, strategy, near)
    room = sum((one.free for one in candidates), Decimal(0))
    assert (choice is not None) == (room >= wanted)
    if choice is not None:
        assert total(choice) == wanted
        assert all(Decimal(0) < amount <= one.free for one, amount in choice)
        assert all(amount % QUANTUM == 0 for _, amount in choice)
        assert len({one.index for one, _ in choice}) == len(choice)


@given(pools, wishes, strategies, places)
def test_no_choice_has_more_devices_than_are_needed(
    candidates: list[Candidate], wanted: Decimal, strategy: Strategy, near: frozenset[int]
) -> None:
    choice = choose(candidates, wanted, strategy, near)
    if choice is not None:
        free = sorted((one.free for one in candidates), reverse=True)
        assert sum(free[: len(choice) - 1], Decimal(0)) < wanted
        # All but one are used up, so one request leaves one broken device at most.
        assert sum(1 for one, amount in choice if amount != one.free) <= 1


@given(pools, wishes, strategies, places)
def test_the_same_question_has_the_same_answer(
    candidates: list[Candidate], wanted: Decimal, strategy: Strategy, near: frozenset[int]
) -> None:
    assert choose(candidates, wanted, strategy, near) == choose(
        list(candidates), wanted, strategy, near
    )


@given(pools, st.integers(1, 20).map(lambda steps: steps * QUANTUM), places)
def test_packing_breaks_no_whole_device_while_a_begun_one_would_do(
    candidates: list[Candidate], wanted: Decimal, near: frozenset[int]
) -> None:
    alone = [Candidate(one.index, one.free, one.amount) for one in candidates]
    choice = choose(alone, wanted, Strategy.PACK, near)
    begun = [one for one in alone if wanted <= one.free < one.amount]
    if choice is not None and begun:
        assert [one.index for one, _ in choice] != [
            one.index for one in alone if one.free == one.amount
        ][:1]
        assert choice[0][0].free == min(one.free for one in begun)
