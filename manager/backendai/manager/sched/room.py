"""PURE: the room on the nodes as columns, one array for each slot, shrinking as kernels are placed.

Nodes are kept in the order in which concentrated placement fills them: the fullest first. All sums
are whole numbers; floats only rank nodes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from backendai.common.enums import AgentStatus

from .reasons import Cause, WaitReason, no_network, no_room
from .swarms import find_swarms
from .view import Node

NOWHERE: Final = -1
_FAR: Final = np.inf
_BISECTIONS: Final = 50
# So many full nodes are closed one by one in a pick, before all are looked at.
MISFITS_MAX: Final = 4

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
# Resource group, architecture, slots, designated nodes, nodes where it failed, whether placement is
# concentrated, and the swarm that the nodes must be of: empty where siblings need no network.
ShapeKey = tuple[str, str, tuple[tuple[str, int], ...], tuple[str, ...], tuple[str, ...], bool, str]


@dataclass(slots=True)
class Shape:
    """Everything that is the same for identical asks, and which nodes may still take one.

    `open` marks nodes that fitted when last looked at; one that turns out to be too full by now is
    closed then. `handicap` (dispersed only) is infinite where a node is closed, else zero.
    """

    key: ShapeKey
    need: tuple[tuple[int, int], ...]
    need_map: Mapping[str, int]
    usable: Mask
    open: Mask
    handicap: npt.NDArray[np.float64] | None


class Room:
    """Free amounts of all nodes."""

    def __init__(self, nodes: Sequence[Node], seed: int) -> None:
        names = sorted({slot for node in nodes for slot in node.capacity})
        self._slots = {slot: column for column, slot in enumerate(names)}
        order = _fill_order(nodes, seed)
        self._nodes = [nodes[index] for index in order]
        self._index = np.array(order, np.int32)
        self._capacity = self._columns([node.capacity for node in self._nodes])
        occupied = self._columns([node.occupied for node in self._nodes])
        self._free = [whole - taken for whole, taken in zip(self._capacity, occupied, strict=True)]
        self._shares = [1.0 / np.maximum(column, 1) for column in self._capacity]
        self._load = self._loads(occupied)
        self._reserved = np.zeros(len(nodes), np.bool_)
        self._has_reserved = False
        self._usable: dict[object, Mask] = {}
        self._groups = np.array([node.group for node in self._nodes], dtype=object)
        self._architectures = np.array([node.architecture for node in self._nodes], dtype=object)
        self._swarms = np.array(find_swarms(self._nodes), dtype=object)
        ills = [_illness(node) or "" for node in self._nodes]
        self._illnesses = np.array(ills, dtype=object)
        self._well = np.array([not ill for ill in ills], np.bool_)

    def _columns(self, maps: Sequence[Mapping[str, int]]) -> list[Numbers]:
        return [np.array([one.get(slot, 0) for one in maps], np.int64) for slot in self._slots]

    def _loads(self, occupied: Sequence[Numbers]) -> npt.NDArray[np.float64]:
        total = np.zeros(len(self._nodes))
        for taken, share in zip(occupied, self._shares, strict=True):
            total += taken * share
        return total

    def shape(self, key: ShapeKey) -> Shape:
        group, architecture, slots, designated, failed, is_concentrated, swarm = key
        need = tuple([(self._slots.get(slot, NOWHERE), amount) for slot, amount in slots])
        usable = self._usable_for(group, architecture, designated, swarm)
        if failed:
            usable = self._without(usable, need, failed)
        fits = self._fitting(usable & ~self._reserved if self._has_reserved else usable, need)
        handicap = None if is_concentrated else np.where(fits, 0.0, _FAR)
        return Shape(key, need, dict(slots), usable, fits, handicap)

    def _fitting(self, nodes: Mask, need: Sequence[tuple[int, int]]) -> Mask:
        """Which of `nodes` have room for `need` now; a slot that no node has fits nowhere."""
        fits = nodes & True
        for column, amount in need:
            fits &= False if column == NOWHERE else self._free[column] >= amount
        return fits

    def swarms(self, group: str) -> list[str]:
        """In which kernels of one session can be on several nodes of a group, the largest first."""
        inside = self._swarms[self._groups == group].tolist()
        return sorted(set(inside) - {""}, key=lambda swarm: (-inside.count(swarm), swarm))

    def why_no_swarm(self, group: str) -> WaitReason:
        """Where `swarms` has none."""
        inside = [node for node in self._nodes if node.group == group]
        counts = Counter(
            Cause.SWARM_UNMANAGED if node.swarm.node_id else Cause.NOT_IN_SWARM for node in inside
        )
        return no_network(group, {cause.value: count for cause, count in sorted(counts.items())})

    def _usable_for(
        self, group: str, architecture: str, designated: tuple[str, ...], swarm: str
    ) -> Mask:
        key = (group, architecture, designated, swarm)
        mask = self._usable.get(key)
        if mask is None:
            mask = self._well & (self._groups == group) & (self._architectures == architecture)
            if designated:
                mask &= self._named(designated)
            if swarm:
                mask &= self._swarms == swarm
            self._usable[key] = mask
        return mask

    def _without(
        self, usable: Mask, need: Sequence[tuple[int, int]], failed: tuple[str, ...]
    ) -> Mask:
        """Leave out nodes where it failed, as long as another one is large enough."""
        others = usable & ~self._named(failed)
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
        misfits = 0
        while True:
            node = self._best(shape)
            if not shape.open[node]:
                return NOWHERE
            if self._fits(shape, node):
                return node
            misfits += 1
            self._close(shape, node, look_at_all=misfits == MISFITS_MAX)

    def _close(self, shape: Shape, node: int, *, look_at_all: bool) -> None:
        """Close a node that has become too full; after some of them it pays to look at all."""
        if look_at_all:
            shape.open = self._fitting(shape.open, shape.need)
            if shape.handicap is not None:
                shape.handicap = np.where(shape.open, 0.0, _FAR)
            return
        shape.open[node] = False
        if shape.handicap is not None:
            shape.handicap[node] = _FAR

    def _best(self, shape: Shape) -> int:
        """The first open node in the order of filling, or the emptiest; any node when none is."""
        if shape.handicap is None:
            return int(shape.open.argmax())
        return int((self._load + shape.handicap).argmin())

    def _fits(self, shape: Shape, node: int) -> bool:
        return all(self._free[column][node] >= amount for column, amount in shape.need)

    def take(self, shape: Shape, node: int) -> int:
        """Place one on `node`; the node's index in the view."""
        self._change(shape, node, -1)
        return int(self._index[node])

    def _change(self, shape: Shape, node: int, count: int) -> None:
        load = 0.0
        for column, amount in shape.need:
            self._free[column][node] += amount * count
            load += self._shares[column][node] * amount
        # The order in which nodes are filled is fixed before, so only spreading asks for loads.
        if shape.handicap is not None:
            self._load[node] -= load * count

    def give_back(self, shape: Shape, node: int) -> None:
        """Undo `take`. What shapes remember must be forgotten then: room has grown."""
        self._change(shape, node, 1)

    def fill(self, shape: Shape, count: int) -> npt.NDArray[np.int32]:
        """Place up to `count` of one shape; the view's index of the node of each."""
        nodes = np.flatnonzero(shape.open)
        fitting = self._counts(shape, nodes, count)
        nodes, fitting = nodes[fitting > 0], fitting[fitting > 0]
        if shape.handicap is None:
            portions = _fill_in_order(fitting, count)
        else:
            step = np.zeros(len(nodes))
            for column, amount in shape.need:
                step += self._shares[column][nodes] * amount
            portions = _fill_evenly(self._load[nodes], step, fitting, count)
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
        self._has_reserved = True
        self._reserved[able[best]] = True
        return True

    def why_not(self, shape: Shape, kernel_count: int) -> WaitReason:
        """Why no node takes one more now, with the number of nodes for each cause."""
        inside = self._groups == shape.key[0]
        causes: dict[str, int] = {}
        left = inside.copy()
        for cause, mask in self._causes(shape):
            count = int(np.count_nonzero(left & mask))
            if count:
                causes[cause] = count
                left &= ~mask
        if left.any():
            causes[Cause.TAKEN_BY_SIBLINGS] = int(np.count_nonzero(left))
        usable = np.flatnonzero(shape.usable)
        have = {
            slot: max(int(self._free[self._slots[slot]][usable].max()), 0) if len(usable) else 0
            for slot in shape.need_map
            if slot in self._slots
        }
        ever = bool((self._of_kind(shape) & self._large_enough(shape.need)).any())
        return no_room(
            shape.need_map,
            have,
            dict(sorted(causes.items())),
            int(np.count_nonzero(inside)),
            can_ever_fit=ever,
            kernel_count=kernel_count,
        )

    def _causes(self, shape: Shape) -> Iterator[tuple[str, Mask]]:
        """What speaks against nodes, the gravest first: a node counts for the first that fits."""
        _, architecture, _, designated, failed, _, swarm = shape.key
        for illness in sorted(set(self._illnesses) - {""}):
            yield illness, self._illnesses == illness
        yield Cause.WRONG_ARCHITECTURE, self._architectures != architecture
        if swarm:
            yield Cause.NOT_IN_SWARM, self._swarms != swarm
        if designated:
            yield Cause.NOT_DESIGNATED, ~self._named(designated)
        if failed:
            yield Cause.FAILED_BEFORE, self._named(failed) & ~shape.usable
        yield Cause.RESERVED, self._reserved
        for slot, amount in shape.need_map.items():
            column = self._slots.get(slot)
            lacking = np.ones(len(self._nodes), np.bool_)
            yield f"not-enough-{slot}", lacking if column is None else self._free[column] < amount

    def _named(self, names: tuple[str, ...]) -> Mask:
        return np.array([node.id in names for node in self._nodes], np.bool_)

    def _of_kind(self, shape: Shape) -> Mask:
        """Nodes that would do if they were well and empty."""
        group, architecture, _, designated, _, _, swarm = shape.key
        mask: Mask = (self._groups == group) & (self._architectures == architecture)
        mask = mask & (self._swarms == swarm) if swarm else mask
        return mask & self._named(designated) if designated else mask


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
