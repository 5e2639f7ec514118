"""PURE: the room on the nodes as columns, one array for each slot, shrinking as kernels are placed.

Nodes are kept in the order in which concentrated placement fills them: the fullest first. All sums
are whole numbers; floats only rank nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from backendai.common.enums import AgentStatus

from .reasons import Cause, WaitReason, no_room
from .view import Node

NOWHERE: Final = -1
_FAR: Final = np.inf
_BISECTIONS: Final = 50

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
ShapeKey = tuple[str, str, tuple[tuple[str, int], ...], tuple[str, ...], tuple[str, ...], bool]


@dataclass(slots=True)
class Shape:
    """Everything that is the same for identical asks, and which nodes may still take one.

    `open` marks nodes that fitted when last looked at; `rank` (dispersed only) has their load as
    last looked at. Both are put right when they turn out to be old.
    """

    key: ShapeKey
    need: tuple[tuple[int, int], ...]
    need_map: Mapping[str, int]
    usable: Mask
    open: Mask
    rank: npt.NDArray[np.float64] | None
    load_step: npt.NDArray[np.float64]


class Room:
    """Free amounts of all nodes."""

    def __init__(self, nodes: Sequence[Node], seed: int) -> None:
        self._slots = {
            slot: i for i, slot in enumerate(sorted({s for n in nodes for s in n.capacity}))
        }
        order = _fill_order(nodes, seed)
        self._nodes = [nodes[index] for index in order]
        self._index = np.array(order, np.int32)
        self._capacity = self._columns([node.capacity for node in self._nodes])
        occupied = self._columns([node.occupied for node in self._nodes])
        self._free = [whole - taken for whole, taken in zip(self._capacity, occupied, strict=True)]
        self._shares = [1.0 / np.maximum(column, 1) for column in self._capacity]
        self._load = self._loads(occupied)
        self._reserved = np.zeros(len(nodes), np.bool_)
        self._usable: dict[object, Mask] = {}
        self._groups = np.array([node.group for node in self._nodes], dtype=object)
        self._architectures = np.array([node.architecture for node in self._nodes], dtype=object)
        self._well = np.array([_illness(node) is None for node in self._nodes], np.bool_)

    def _columns(self, maps: Sequence[Mapping[str, int]]) -> list[Numbers]:
        return [np.array([one.get(slot, 0) for one in maps], np.int64) for slot in self._slots]

    def _loads(self, occupied: Sequence[Numbers]) -> npt.NDArray[np.float64]:
        total = np.zeros(len(self._nodes))
        for taken, share in zip(occupied, self._shares, strict=True):
            total += taken * share
        return total

    def shape(self, key: ShapeKey) -> Shape:
        group, architecture, slots, designated, failed, is_concentrated = key
        need = tuple((self._slots.get(slot, NOWHERE), amount) for slot, amount in slots if amount)
        usable = self._usable_for(group, architecture, designated)
        if any(column == NOWHERE for column, _ in need):
            usable = np.zeros(len(self._nodes), np.bool_)
        if failed:
            usable = self._without(usable, need, failed)
        fits = usable & ~self._reserved if self._reserved.any() else usable.copy()
        step = np.zeros(1)
        for column, amount in need:
            if column != NOWHERE:
                fits &= self._free[column] >= amount
                if not is_concentrated:
                    step = step + self._shares[column] * amount
        rank = None if is_concentrated else np.where(fits, self._load, _FAR)
        return Shape(key, need, dict(slots), usable, fits, rank, step)

    def _usable_for(self, group: str, architecture: str, designated: tuple[str, ...]) -> Mask:
        key = (group, architecture, designated)
        mask = self._usable.get(key)
        if mask is None:
            mask = self._well & (self._groups == group) & (self._architectures == architecture)
            if designated:
                mask &= np.array([node.id in designated for node in self._nodes], np.bool_)
            self._usable[key] = mask
        return mask

    def _without(
        self, usable: Mask, need: Sequence[tuple[int, int]], failed: tuple[str, ...]
    ) -> Mask:
        """Leave out nodes where it failed, as long as another one is large enough."""
        others = usable & np.array([node.id not in failed for node in self._nodes], np.bool_)
        return others if (others & self._large_enough(need)).any() else usable

    def _large_enough(self, need: Sequence[tuple[int, int]]) -> Mask:
        mask = np.ones(len(self._nodes), np.bool_)
        for column, amount in need:
            mask &= False if column == NOWHERE else self._capacity[column] >= amount
        return mask

    def pick(self, shape: Shape) -> int:
        """The node that shall take one more, or NOWHERE."""
        if not len(self._nodes):
            return NOWHERE
        return self._pick_fullest(shape) if shape.rank is None else self._pick_emptiest(shape)

    def _pick_fullest(self, shape: Shape) -> int:
        while True:
            node = int(shape.open.argmax())
            if not shape.open[node]:
                return NOWHERE
            if self._fits(shape, node):
                return node
            shape.open[node] = False

    def _pick_emptiest(self, shape: Shape) -> int:
        rank, load = shape.rank, self._load
        assert rank is not None
        while True:
            node = int(rank.argmin())
            known = rank[node]
            if known == _FAR:
                return NOWHERE
            if not self._fits(shape, node):
                rank[node] = _FAR
                shape.open[node] = False
            elif known != load[node]:
                rank[node] = load[node]
            else:
                return node

    def _fits(self, shape: Shape, node: int) -> bool:
        return all(self._free[column][node] >= amount for column, amount in shape.need)

    def take(self, shape: Shape, node: int) -> int:
        """Place one on `node`; the node's index in the view."""
        for column, amount in shape.need:
            self._free[column][node] -= amount
            self._load[node] += self._shares[column][node] * amount
        return int(self._index[node])

    def give_back(self, shape: Shape, node: int) -> None:
        """Undo `take`. What shapes remember must be forgotten then: room has grown."""
        for column, amount in shape.need:
            self._free[column][node] += amount
            self._load[node] -= self._shares[column][node] * amount

    def fill(self, shape: Shape, count: int) -> npt.NDArray[np.int32]:
        """Place up to `count` of one shape; the view's index of the node of each."""
        nodes = np.flatnonzero(shape.open)
        fitting = self._counts(shape, nodes, count)
        nodes, fitting = nodes[fitting > 0], fitting[fitting > 0]
        if shape.rank is None:
            portions = _fill_in_order(fitting, count)
        else:
            steps = np.broadcast_to(shape.load_step, self._load.shape)[nodes]
            portions = _fill_evenly(self._load[nodes], steps, fitting, count)
        for column, amount in shape.need:
            self._free[column][nodes] -= portions * amount
            self._load[nodes] += self._shares[column][nodes] * (portions * amount)
        return np.repeat(self._index[nodes], portions)

    def _counts(self, shape: Shape, nodes: npt.NDArray[np.intp], count: int) -> Numbers:
        counts = np.full(len(nodes), count, np.int64)
        for column, amount in shape.need:
            np.minimum(counts, self._free[column][nodes] // amount, out=counts)
        return counts

    def weight(self, shape: Shape) -> float:
        """How large a shape is against all there is; the largest is the hardest to place."""
        parts = (
            amount / max(int(self._capacity[column].sum()), 1)
            for column, amount in shape.need
            if column != NOWHERE
        )
        return sum(parts)

    def reserve(self, shape: Shape, count: int) -> bool:
        """Keep the `count` nodes that lack least for `shape` from everybody behind it."""
        able = np.flatnonzero(shape.usable & self._large_enough(shape.need) & ~self._reserved)
        if not len(able):
            return False
        nearest = np.full(len(able), _FAR)
        for column, amount in shape.need:
            np.minimum(nearest, self._free[column][able] / amount, out=nearest)
        best = np.argsort(-nearest, kind="stable")[:count]
        self._reserved[able[best]] = True
        return True

    def why_not(self, shape: Shape, kernel_count: int) -> WaitReason:
        group = shape.key[0]
        inside = np.flatnonzero(self._groups == group)
        causes: dict[str, int] = {}
        for index in inside.tolist():
            cause = self._cause(shape, index)
            causes[cause] = causes.get(cause, 0) + 1
        slots = {slot: column for slot, column in self._slots.items() if slot in shape.need_map}
        usable = np.flatnonzero(shape.usable)
        have = {
            slot: max(int(self._free[column][usable].max()), 0) if len(usable) else 0
            for slot, column in slots.items()
        }
        ever = bool((self._of_kind(shape) & self._large_enough(shape.need)).any())
        return no_room(
            shape.need_map,
            have,
            dict(sorted(causes.items())),
            len(inside),
            can_ever_fit=ever,
            kernel_count=kernel_count,
        )

    def _of_kind(self, shape: Shape) -> Mask:
        """Nodes that would do if they were well and empty."""
        group, architecture, _, designated, _, _ = shape.key
        mask: Mask = (self._groups == group) & (self._architectures == architecture)
        if designated:
            mask = mask & np.array([node.id in designated for node in self._nodes], np.bool_)
        return mask

    def _cause(self, shape: Shape, index: int) -> str:
        node = self._nodes[index]
        _, architecture, _, designated, failed, _ = shape.key
        if (illness := _illness(node)) is not None:
            return illness
        if node.architecture != architecture:
            return Cause.WRONG_ARCHITECTURE
        if designated and node.id not in designated:
            return Cause.NOT_DESIGNATED
        if not shape.usable[index] and node.id in failed:
            return Cause.FAILED_BEFORE
        if self._reserved[index]:
            return Cause.RESERVED
        lacking = self._lacking(shape, index)
        return f"not-enough-{lacking}" if lacking else Cause.TAKEN_BY_SIBLINGS

    def _lacking(self, shape: Shape, index: int) -> str:
        for slot, amount in shape.need_map.items():
            column = self._slots.get(slot)
            if column is None or self._free[column][index] < amount:
                return slot
        return ""


def _illness(node: Node) -> str | None:
    """Why a node takes nothing at all."""
    if node.status is AgentStatus.SUSPECT:
        return Cause.SUSPECT
    if node.status is not AgentStatus.ALIVE:
        return Cause.LOST
    if not node.is_schedulable:
        return Cause.NOT_SCHEDULABLE
    return None if node.is_engine_reachable else Cause.ENGINE_UNREACHABLE


def _fill_order(nodes: Sequence[Node], seed: int) -> list[int]:
    count = len(nodes)

    def load(index: int) -> float:
        node = nodes[index]
        return sum(node.occupied.get(s, 0) / max(whole, 1) for s, whole in node.capacity.items())

    return sorted(range(count), key=lambda index: (-load(index), (index + seed) % count))


def _fill_in_order(fitting: Numbers, count: int) -> Numbers:
    """How many each node takes when one is filled after the other."""
    before = np.cumsum(fitting) - fitting
    portions: Numbers = np.minimum(np.maximum(count - before, 0), fitting)
    return portions


def _fill_evenly(
    loads: npt.NDArray[np.float64],
    steps: npt.NDArray[np.float64],
    fitting: Numbers,
    count: int,
) -> Numbers:
    """How many each node takes when every next one goes to the emptiest.

    Finds the load up to which all are filled, then gives the rest to the emptiest after that.
    """
    if int(fitting.sum()) <= count:
        return fitting
    pace = np.maximum(steps, 1e-12)

    def below(level: float) -> Numbers:
        wanted: Numbers = np.maximum(np.ceil((level - loads) / pace), 0).astype(np.int64)
        return np.minimum(wanted, fitting)

    low, high = float(loads.min()), float((loads + pace * fitting).max()) + 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if int(below(middle).sum()) <= count else (low, middle)
    portions = below(low)
    rest = count - int(portions.sum())
    able = np.flatnonzero(portions < fitting)
    nearest = able[np.argsort((loads + pace * portions)[able], kind="stable")[:rest]]
    portions[nearest] += 1
    return portions
