"""PURE: which waiting session runs where, and why the others wait.

The queue is first in, first out within a priority; who does not fit is skipped, so that smaller
ones behind may go. Nobody starves by that: the first one in a resource group that has been skipped
for `PATIENCE` gets the node where it lacks least reserved, and nothing behind it may use that node
until it went. Within one pass room only shrinks, so what does not fit a shape once is never tried
for that shape again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from backendai.common.enums import PlacementStrategy

from .placement import KernelPlacement, Placement
from .reasons import WaitReason, depends_on, no_group, starts_later
from .room import NOWHERE, Room, Shape, ShapeKey
from .shares import Shares
from .view import SPECIAL, Ask, DependencyState, KernelAsk, View

PATIENCE: Final = timedelta(minutes=5)
PLACED: Final = -1
# From so many identical asks on, counting them out over all nodes costs less than one by one.
COUNT_OUT_FROM: Final = 16

# Shapes with the seats of each; a seat is a set of kernels that go to one node together, by their
# places in `node_of`.
Portions = list[tuple[Shape, list[list[int]]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """`node_of` has a node's index for each kernel in the order of the asks, or NOWHERE;
    `reason_of` an index into `reasons` for each ask, or PLACED."""

    view: View
    node_of: npt.NDArray[np.int32]
    reason_of: npt.NDArray[np.int32]
    reasons: tuple[WaitReason, ...]

    def placements(self) -> Iterator[Placement]:
        nodes = self.view.nodes
        first = 0
        for ask, reason in zip(self.view.asks, self.reason_of.tolist(), strict=True):
            chosen = self.node_of[first : first + len(ask.kernels)].tolist()
            first += len(ask.kernels)
            if reason == PLACED:
                yield Placement(
                    ask.session_id,
                    tuple(
                        KernelPlacement(kernel.kernel_id, kernel.revision, nodes[node].id)
                        for kernel, node in zip(ask.kernels, chosen, strict=True)
                    ),
                )

    def waits(self) -> Iterator[tuple[Ask, WaitReason]]:
        for ask, reason in zip(self.view.asks, self.reason_of.tolist(), strict=True):
            if reason != PLACED:
                yield ask, self.reasons[reason]


def plan(view: View, now: datetime, seed: int = 0) -> Plan:
    """Place what fits; give a reason for each that waits.

    `seed` only breaks ties between nodes that are equally good.
    """
    return _Pass(view, now, seed).run()


def explain_each(view: View, now: datetime) -> list[WaitReason | None]:
    """Why each ask would wait if it were the only one; None where it could be placed now.

    For asks that nothing holds back but quotas and room.
    """
    alone = _Pass(view, now, 0)
    return [
        alone.explain(ask) if len(ask.kernels) == 1 else _explain_gang(view, ask, now)
        for ask in view.asks
    ]


def _explain_gang(view: View, ask: Ask, now: datetime) -> WaitReason | None:
    """Where it goes depends on where its kernels went before: it takes a plan of its own."""
    own = plan(View.of(view.nodes, [ask], view.groups.values(), view.quotas), now)
    return next((reason for _, reason in own.waits()), None)


class _Pass:
    """The state of one plan in the making."""

    def __init__(self, view: View, now: datetime, seed: int) -> None:
        self._view = view
        self._now = now
        self._room = Room(view.nodes, seed)
        self._shares = Shares(view.quotas)
        self._shapes: dict[ShapeKey, Shape] = {}
        self._kinds: dict[int, tuple[Shape, tuple[int, ...]] | WaitReason] = {}
        self._reasons: list[WaitReason] = []
        self._room_reasons: dict[tuple[ShapeKey, int], int] = {}
        self._protected: set[str] = set()
        counts = [len(ask.kernels) for ask in view.asks]
        self._first = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        self._node_of = np.full(int(self._first[-1]), NOWHERE, np.int32)
        self._reason_of = np.full(len(view.asks), PLACED, np.int32)

    def run(self) -> Plan:
        classes = np.asarray(self._view.classes)
        ends = np.append(np.flatnonzero(np.diff(classes)) + 1, len(classes)).tolist()
        numbers = classes.tolist()
        start = 0
        for end in ends if numbers else ():
            if numbers[start] == SPECIAL:
                for index in range(start, end):
                    self._place_special(index)
            else:
                self._place_run(numbers[start], start, end)
            start = end
        return Plan(self._view, self._node_of, self._reason_of, tuple(self._reasons))

    def explain(self, ask: Ask) -> WaitReason | None:
        """Why one more such ask would wait now; nothing is placed."""
        kind = self._kind(ask)
        if isinstance(kind, WaitReason):
            return kind
        shape, quotas = kind
        if self._shares.room(quotas, shape.need_map, 1) < 1:
            return self._shares.reason(quotas, shape.need_map)
        if self._room.pick(shape) == NOWHERE:
            return self._room.why_not(shape, 1)
        return None

    def _place_run(self, number: int, start: int, end: int) -> None:
        """Identical asks one after the other: decided once, counted out over the nodes."""
        kind = self._kinds.get(number)
        if kind is None:
            kind = self._kinds[number] = self._kind(self._view.asks[start])
        if isinstance(kind, WaitReason):
            self._wait(start, end, kind)
            return
        shape, quotas = kind
        wanted = end - start
        allowed = self._shares.room(quotas, shape.need_map, wanted) if quotas else wanted
        placed = self._fill(shape, start, allowed) if allowed else 0
        if quotas and placed:
            self._shares.take(quotas, shape.need_map, placed)
        if placed < allowed:
            self._wait_for_room(start + placed, end, shape)
        elif allowed < wanted:
            self._wait(start + placed, end, self._shares.reason(quotas, shape.need_map))

    def _kind(self, ask: Ask) -> tuple[Shape, tuple[int, ...]] | WaitReason:
        """What is the same for all asks of one class."""
        if not self._is_open(ask.group):
            return no_group(ask.group)
        shape = self._shape(ask, ask.kernels[0].slots, ask.kernels[0])
        return shape, self._shares.of(ask.scopes)

    def _fill(self, shape: Shape, start: int, count: int) -> int:
        """Place up to `count` asks of one shape; how many were placed."""
        first = int(self._first[start])
        if count >= COUNT_OUT_FROM:
            nodes = self._room.fill(shape, count)
            self._node_of[first : first + len(nodes)] = nodes
            return len(nodes)
        for placed in range(count):
            node = self._room.pick(shape)
            if node == NOWHERE:
                return placed
            self._node_of[first + placed] = self._room.take(shape, node)
        return count

    def _place_special(self, index: int) -> None:
        ask = self._view.asks[index]
        reason = self._held_back(ask)
        if reason is None:
            quotas = self._shares.of(ask.scopes)
            need = ask.need()
            if self._shares.room(quotas, need, 1) < 1:
                reason = self._shares.reason(quotas, need)
            else:
                self._place_gang(index, ask, quotas, need)
                return
        self._wait(index, index + 1, reason)

    def _held_back(self, ask: Ask) -> WaitReason | None:
        if ask.starts_at is not None and ask.starts_at > self._now:
            return starts_later(ask.starts_at)
        waiting = [one for one in ask.dependencies if one.state is not DependencyState.DONE]
        if waiting:
            return depends_on(waiting)
        return None if self._is_open(ask.group) else no_group(ask.group)

    def _place_gang(
        self, index: int, ask: Ask, quotas: Sequence[int], need: Mapping[str, int]
    ) -> None:
        """All kernels or none; on one node when the cluster is of a single node, else on nodes
        that can have a network in common."""
        swarms = self._room.swarms(ask.group) if _is_spread(ask) else [""]
        if not swarms:
            self._wait(index, index + 1, self._room.why_no_swarm(ask.group))
            return
        lacking: list[Shape] = []
        for swarm in swarms:
            shape = self._seat(index, self._portions(index, ask, need, swarm))
            if shape is None:
                self._shares.take(quotas, need, 1)
                return
            lacking.append(shape)
        self._wait_for_room(index, index + 1, self._room.shape(lacking[0].key))

    def _seat(self, index: int, portions: Portions) -> Shape | None:
        """Take the room of all kernels of an ask; or of none, and which shape there is no room
        for."""
        taken: list[tuple[Shape, int]] = []
        for shape, seats in portions:
            for seat in seats:
                node = self._room.pick(shape)
                if node == NOWHERE:
                    self._undo(index, taken)
                    return shape
                taken.append((shape, node))
                self._node_of[seat] = self._room.take(shape, node)
        return None

    def _portions(self, index: int, ask: Ask, need: Mapping[str, int], swarm: str) -> Portions:
        """The largest shape first; all of them on nodes of `swarm`, where it is given."""
        first = int(self._first[index])
        if not _is_spread(ask):
            seat = list(range(first, first + len(ask.kernels)))
            whole = tuple(sorted(need.items()))
            return [(self._shape(ask, whole, ask.kernels[0], swarm), [seat])]
        portions: dict[ShapeKey, tuple[Shape, list[list[int]]]] = {}
        for offset, kernel in enumerate(ask.kernels):
            shape = self._shape(ask, kernel.slots, kernel, swarm)
            portions.setdefault(shape.key, (shape, []))[1].append([first + offset])
        return sorted(portions.values(), key=lambda one: -self._room.weight(one[0]))

    def _undo(self, index: int, taken: list[tuple[Shape, int]]) -> None:
        for shape, node in taken:
            self._room.give_back(shape, node)
        self._node_of[int(self._first[index]) : int(self._first[index + 1])] = NOWHERE
        if taken:
            self._forget_shapes()

    def _forget_shapes(self) -> None:
        self._shapes.clear()
        self._kinds.clear()
        self._room_reasons.clear()

    def _shape(
        self, ask: Ask, slots: tuple[tuple[str, int], ...], kernel: KernelAsk, swarm: str = ""
    ) -> Shape:
        strategy = self._view.groups[ask.group].strategy
        key = (
            ask.group,
            kernel.architecture,
            slots,
            kernel.designated,
            kernel.failed_agents,
            strategy is PlacementStrategy.CONCENTRATED,
            swarm,
        )
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = self._room.shape(key)
        return shape

    def _is_open(self, group: str) -> bool:
        known = self._view.groups.get(group)
        return known is not None and known.is_active

    def _wait(self, start: int, end: int, reason: WaitReason) -> None:
        self._reason_of[start:end] = len(self._reasons)
        self._reasons.append(reason)

    def _wait_for_room(self, start: int, end: int, shape: Shape) -> None:
        """The reason is worked out once for each shape, as long as no node gets reserved."""
        head = self._view.asks[start]
        count = len(head.kernels)
        key = (shape.key, count)
        known = self._room_reasons.get(key)
        if known is None:
            known = self._room_reasons[key] = len(self._reasons)
            self._reasons.append(self._room.why_not(shape, count))
        self._reason_of[start:end] = known
        group = shape.key[0]
        if group not in self._protected and self._now - head.eligible_at > PATIENCE:
            self._protected.add(group)
            if self._room.reserve(shape, count if _is_spread(head) else 1):
                self._forget_shapes()


def _is_spread(ask: Ask) -> bool:
    """Whether its kernels may be on several nodes."""
    return len(ask.kernels) > 1 and not ask.is_single_node
