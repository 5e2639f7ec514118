"""Which devices serve an amount: as few as can be, near each other, wasting as little. PURE.

Amounts are exact. The same candidates in the same order always give the same answer. Of several
devices all but one are taken up wholly, so at most one is left in part.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from backendai.common.slots import ZERO


class Strategy(enum.StrEnum):
    """PACK fills what is begun, so that whole devices stay free; SPREAD takes the emptiest."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that may be used: `free` of its `amount`. `index` is its number on the node."""

    index: int
    free: Decimal
    amount: Decimal
    numa_node: int | None = None


Choice = tuple[tuple[Candidate, Decimal], ...]


def choose(
    candidates: Sequence[Candidate], wanted: Decimal, strategy: Strategy, near: frozenset[int]
) -> Choice | None:
    """The devices for `wanted` > 0, and how much of each; None when they have not that much.

    Fewest devices come first, then fewest NUMA nodes, those in `near` before others, then the
    strategy.
    """
    usable = [one for one in candidates if one.free > 0]
    count = _fewest(usable, wanted)
    if count is None:
        return None
    options = [_fill(group, wanted, count, strategy) for group in _groups(usable)]
    found = [option for option in options if option]
    return min(found, key=lambda option: _cost(option, usable, strategy, near))


def _fewest(usable: Iterable[Candidate], wanted: Decimal) -> int | None:
    room = ZERO
    for count, free in enumerate(sorted((one.free for one in usable), reverse=True), 1):
        room += free
        if room >= wanted:
            return count
    return None


def _groups(usable: Sequence[Candidate]) -> list[list[Candidate]]:
    """The devices of each NUMA node alone, then all; those of full nodes first."""
    room: dict[int | None, Decimal] = {}
    for one in usable:
        room[one.numa_node] = room.get(one.numa_node, ZERO) + one.free
    nodes = sorted(room, key=lambda node: (-room[node], -1 if node is None else node))
    alone = [[one for one in usable if one.numa_node == node] for node in nodes]
    return [*alone, [one for group in alone for one in group]]


def _fill(
    group: Sequence[Candidate], wanted: Decimal, count: int, strategy: Strategy
) -> Choice | None:
    """`wanted` from `count` devices of `group`; None when they have not that much.

    No fewer than `count` would do, so those that come first are needed wholly.
    """
    ordered = sorted(group, key=lambda one: -one.free)
    whole = ordered[: count - 1]
    rest = wanted - sum((one.free for one in whole), ZERO)
    fitting = [one for one in ordered[count - 1 :] if one.free >= rest]
    if not fitting:
        return None
    pick = min if strategy is Strategy.PACK else max
    best = pick(one.free for one in fitting)
    last = next(one for one in fitting if one.free == best)
    return (*((one, one.free) for one in whole), (last, rest))


def _cost(
    option: Choice, usable: Sequence[Candidate], strategy: Strategy, near: frozenset[int]
) -> tuple[object, ...]:
    """What makes an option worse, the weightiest first; all entries compare with their like."""
    nodes = {one.numa_node for one, _ in option}
    taken = sum((amount for _, amount in option), ZERO)
    left_on_nodes = sum((one.free for one in usable if one.numa_node in nodes), ZERO) - taken
    left_on_devices = sum((one.free - amount for one, amount in option), ZERO)
    broken = sum(1 for one, amount in option if one.free == one.amount != amount)
    far = len(nodes - near) if near else 0
    indices = tuple(sorted(one.index for one, _ in option))
    if strategy is Strategy.PACK:
        return (len(nodes), far, broken, left_on_devices, left_on_nodes, indices)
    return (len(nodes), far, -left_on_devices, -left_on_nodes, indices)
