"""What the planner sees: nodes, waiting sessions, quotas, as frozen values at one moment.

Amounts are whole numbers of units: bytes for sizes, millionths for counts; so sums are exact and
fit into 64-bit arrays.
"""

import enum
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from backendai.common.enums import AgentStatus, PlacementStrategy, SlotType
from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.common.slots import (
    INFINITY,
    SlotError,
    SlotName,
    format_amount,
    format_size,
    slot_type,
)
from backendai.manager.policies.model import parse_limits

COUNT_UNITS: Final = 1_000_000
UNITS_MAX: Final = 2**62
# Asks that need a look of their own: gangs, dependencies, a start time, designated nodes.
SPECIAL: Final = -1

Units = Mapping[str, int]
ScopeKey = tuple[str, str]


def to_units(slot: str, amount: Decimal | str) -> int:
    """An amount as a whole number of units; what is larger than any node becomes UNITS_MAX."""
    value = Decimal(amount)
    if not value.is_finite():
        return UNITS_MAX
    is_size = slot_type(SlotName(slot)) is SlotType.BYTES
    return min(int(value if is_size else value * COUNT_UNITS), UNITS_MAX)


def units_of(amounts: Mapping[str, str]) -> dict[str, int]:
    """Amounts by slot as units; zeros are left out."""
    units = {slot: to_units(slot, amount) for slot, amount in sorted(amounts.items())}
    return {slot: amount for slot, amount in units.items() if amount}


def read_limits(stored: object) -> tuple[dict[str, int], str]:
    """Limits by slot as units, from a column of a table, also in the forms that people write; and
    why they cannot be read, or "". An `Infinity` limits nothing, but names its slot."""
    try:
        amounts = parse_limits(stored)
    except SlotError as error:
        return {}, str(error)
    return {name: to_units(name, amount) for name, amount in amounts.items()}, ""


def show_units(slot: str, units: int) -> str:
    """Units as people write them: `4g` for sizes, `0.5` for counts."""
    if slot_type(SlotName(slot)) is SlotType.BYTES:
        return format_size(Decimal(units))
    return format_amount(Decimal(units) / COUNT_UNITS)


def units_text(slot: str, units: int) -> str:
    """Units as programs read them: whole bytes, exact counts, `Infinity` where nothing limits."""
    if units >= UNITS_MAX:
        return format_amount(INFINITY)
    is_size = slot_type(SlotName(slot)) is SlotType.BYTES
    return format_amount(Decimal(units) if is_size else Decimal(units) / COUNT_UNITS)


class DependencyState(enum.StrEnum):
    """DONE lets a session start; FAILED means that it never will."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Dependency:
    session_id: SessionId
    name: str
    status: str
    state: DependencyState


@dataclass(frozen=True, slots=True)
class Swarm:
    """A node's place in one; all empty: it is in none. `swarm_id` is known to managers alone."""

    node_id: str = ""
    swarm_id: str = ""
    managers: frozenset[str] = frozenset()


NO_SWARM: Final = Swarm()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An agent: what it can give, and what live allocations hold of it."""

    id: AgentId
    group: str
    architecture: str
    capacity: Units
    occupied: Units
    status: AgentStatus = AgentStatus.ALIVE
    is_schedulable: bool = True
    is_engine_reachable: bool = True
    swarm: Swarm = NO_SWARM


@dataclass(frozen=True, slots=True)
class KernelAsk:
    kernel_id: KernelId
    revision: Revision
    slots: tuple[tuple[str, int], ...]
    architecture: str
    failed_agents: tuple[str, ...] = ()
    # The only nodes that it may go to; empty where all may.
    designated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A waiting session. `scopes` name the quotas that it counts against."""

    session_id: SessionId
    group: str
    kernels: tuple[KernelAsk, ...]
    priority: int
    created_at: datetime
    is_single_node: bool = True
    starts_at: datetime | None = None
    dependencies: tuple[Dependency, ...] = ()
    scopes: tuple[ScopeKey, ...] = ()
    waiting_rule: str = ""
    waiting_digest: str = ""

    @property
    def eligible_at(self) -> datetime:
        """Since when it could have been placed, as far as its own wishes go."""
        return max(self.created_at, self.starts_at or self.created_at)

    def need(self) -> dict[str, int]:
        """The units of all its kernels together."""
        total: dict[str, int] = {}
        for kernel in self.kernels:
            for slot, amount in kernel.slots:
                total[slot] = total.get(slot, 0) + amount
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A limit of a keypair, project or domain, and what counts against it now.

    A slot without a limit is unlimited, or forbidden where `is_closed`. `sessions_max` None means
    no limit. `problem` says why the limits cannot be read: then nothing more may start.
    """

    scope: str
    name: str
    sessions_max: int | None = None
    sessions: int = 0
    slots_max: Units = field(default_factory=dict)
    slots: Units = field(default_factory=dict)
    is_closed: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    strategy: PlacementStrategy = PlacementStrategy.DISPERSED
    is_active: bool = True
    pending_timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Everything that one plan is made from. `asks` are in the order of the queue; in a frozen
    cluster all of them wait."""

    nodes: tuple[Node, ...]
    asks: tuple[Ask, ...]
    groups: Mapping[str, Group]
    quotas: Mapping[ScopeKey, Quota]
    classes: "array[int]"
    is_frozen: bool = False

    @classmethod
    def of(
        cls,
        nodes: Iterable[Node],
        asks: Iterable[Ask],
        groups: Iterable[Group],
        quotas: Mapping[ScopeKey, Quota] | None = None,
        *,
        is_frozen: bool = False,
    ) -> "View":
        queue = tuple(sorted(asks, key=_queue_key))
        by_name = {group.name: group for group in groups}
        return cls(
            tuple(nodes), queue, by_name, dict(quotas or {}), classify(queue), is_frozen=is_frozen
        )


def _queue_key(ask: Ask) -> tuple[int, datetime, str]:
    return (-ask.priority, ask.created_at, str(ask.session_id))


def designate(
    asked: Sequence[str], holders: Sequence[Collection[str]], *, is_single_node: bool
) -> list[tuple[str, ...]]:
    """For each kernel the only nodes that it may go to. `asked` are of a superadmin: of a session
    over several nodes one for each, in their order. `holders` have the image of each where others
    cannot get it, empty where all can."""
    if asked:
        is_each = not is_single_node and len(asked) == len(holders)
        return [(one,) for one in asked] if is_each else [tuple(asked)] * len(holders)
    if is_single_node:
        bound = [frozenset(one) for one in holders if one]
        common = frozenset.intersection(*bound) if bound else frozenset()
        return [tuple(sorted(common))] * len(holders)
    return [tuple(sorted(one)) for one in holders]


def classify(asks: Sequence[Ask]) -> "array[int]":
    """A number for each ask, the same for asks between which no plan can tell a difference."""
    seen: dict[object, int] = {}
    return array("i", [_class_of(ask, seen) for ask in asks])


def _class_of(ask: Ask, seen: dict[object, int]) -> int:
    if len(ask.kernels) != 1 or ask.dependencies or ask.starts_at:
        return SPECIAL
    kernel = ask.kernels[0]
    if kernel.failed_agents or kernel.designated:
        return SPECIAL
    key = (ask.group, kernel.architecture, kernel.slots, ask.scopes)
    return seen.setdefault(key, len(seen))
