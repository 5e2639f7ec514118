"""PURE: intervals in which kernels held amounts, clipped and summed in integers.

Amounts are millionths of a unit (cores, bytes, devices), times microseconds; their products are
therefore exact, and are told as decimal texts of unit-seconds.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from typing import Any, Final

import msgspec

from backendai.common.enums import SlotType
from backendai.common.slots import CPU, MEM, SlotName, format_amount, slot_type

MICROSECOND: Final = timedelta(microseconds=1)
MILLIONTHS: Final = 1_000_000
_PRODUCT_DIGITS: Final = 12
_RUN: Final = 2000
_FACTS: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until before `until`; both aware."""

    since: datetime
    until: datetime


class Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one generation of a kernel held from `begun` on; `ended` None: it still does.

    `amounts` in millionths; `facts` as the view `usage_facts` tells them, as JSON. There may be a
    hundred thousand at once: the garbage collector, which stops everything, need not visit them.
    For that their own ids are texts, and other ids are shared.
    """

    kernel_id: str
    generation: int
    begun: datetime
    ended: datetime | None
    amounts: Mapping[str, int]
    session_id: str
    project_id: uuid.UUID
    user_id: uuid.UUID
    facts: str

    def read_facts(self) -> dict[str, Any]:
        return _FACTS.decode(self.facts)


class KernelUse(msgspec.Struct, frozen=True, gc=False):
    """One kernel within a span: its last generation, how long it held, and how much for how long
    (millionths times microseconds) by slot."""

    last: Held
    microseconds: int
    products: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProjectUse:
    """One project within a span; its kernels in the order of their first allocation."""

    project_id: uuid.UUID
    name: str
    domain: str
    kernels: tuple[KernelUse, ...]

    @property
    def products(self) -> dict[str, int]:
        return _sum(kernel.products for kernel in self.kernels)


def to_millionths(amount: Decimal | str) -> int:
    """Exact, for amounts as the database keeps them."""
    return int(Decimal(amount) * MILLIONTHS)


def held_microseconds(held: Held, span: Span, now: datetime) -> int:
    """How long of `span` an interval lasted; what still lasts counts until `now`."""
    begun = max(held.begun, span.since)
    ended = min(held.ended or now, span.until)
    return max((ended - begun) // MICROSECOND, 0)


def sum_by_project(intervals: Iterable[Held], span: Span, now: datetime) -> list[ProjectUse]:
    """What was held within `span`, by project in the order of names, then by kernel."""
    first: dict[str, Held] = {}
    # Lists for those alone that have several intervals: each is one more to be visited.
    several: dict[str, list[Held]] = {}
    for held in intervals:
        known = first.setdefault(held.kernel_id, held)
        if known is not held:
            several.setdefault(held.kernel_id, [known]).append(held)
    for kernel_id, held_by_one in several.items():
        held_by_one.sort(key=_order_of)
        first[kernel_id] = held_by_one[0]
    by_project: dict[uuid.UUID, list[KernelUse]] = {}
    for held in _in_order([*first.values()]):
        use = _use_of(several.get(held.kernel_id) or [held], span, now)
        if use.microseconds:
            by_project.setdefault(use.last.project_id, []).append(use)
    found = [_project_of(project_id, uses) for project_id, uses in by_project.items()]
    return sorted(found, key=lambda one: (one.domain, one.name, one.project_id))


def taken(intervals: list[Held]) -> Iterator[Held]:
    """Each once, and nothing is left of them: to let go of a hundred thousand at once would hold up
    everybody for as long as that takes, also from another thread."""
    intervals.reverse()
    while intervals:
        yield intervals.pop()


def unit_seconds(products: Mapping[str, int]) -> dict[str, str]:
    """Exact texts, such as `cpu: 5400` for one and a half cores over an hour."""
    return {
        slot: format_amount(Decimal(product).scaleb(-_PRODUCT_DIGITS))
        for slot, product in sorted(products.items())
    }


def memory_of(amounts: Mapping[str, int]) -> int:
    """Bytes."""
    return amounts.get(MEM, 0) // MILLIONTHS


@lru_cache(maxsize=256)
def is_accelerator(slot: str) -> bool:
    return slot != CPU and slot_type(SlotName(slot)) is not SlotType.BYTES


def is_accelerator_memory(slot: str) -> bool:
    return slot != MEM and slot_type(SlotName(slot)) is SlotType.BYTES


def _order_of(held: Held) -> tuple[datetime, int]:
    return held.begun, held.generation


def _in_order(intervals: Sequence[Held]) -> Iterator[Held]:
    """No step of it is long: nothing else runs while a list is sorted."""
    runs = [
        sorted(intervals[begin : begin + _RUN], key=_order_of)
        for begin in range(0, len(intervals), _RUN)
    ]
    return merge(*runs, key=_order_of)


def _use_of(held_by_one: Sequence[Held], span: Span, now: datetime) -> KernelUse:
    lasted = [(held, held_microseconds(held, span, now)) for held in held_by_one]
    products = _sum(
        {slot: amount * time for slot, amount in held.amounts.items()} for held, time in lasted
    )
    # Slots of one generation may be freed one by one; the time is counted once for all.
    times: dict[int, int] = {}
    for held, time in lasted:
        times[held.generation] = max(time, times.get(held.generation, 0))
    return KernelUse(held_by_one[-1], sum(times.values()), products)


def _project_of(project_id: uuid.UUID, uses: Sequence[KernelUse]) -> ProjectUse:
    """Named as the last of its kernels knew it."""
    facts = uses[-1].last.read_facts()
    return ProjectUse(project_id, facts["project_name"], facts["domain_name"], tuple(uses))


def _sum(maps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in maps:
        total.update(one)
    # A copy of the counter itself would be one more for the garbage collector.
    return {slot: amount for slot, amount in total.items()}  # noqa: C416
