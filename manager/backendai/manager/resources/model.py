"""PURE: limits, use and what is left as texts by slot, and which presets could be placed now.

Everything is worked out from the values that the planner itself works with.
"""

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backendai.common.ids import KernelId, Revision, SessionId
from backendai.common.slots import ResourceSlots, SlotError
from backendai.manager.sched.admit import free_of, is_taking
from backendai.manager.sched.reasons import WaitReason
from backendai.manager.sched.view import (
    UNITS_MAX,
    Ask,
    Group,
    KernelAsk,
    Node,
    Quota,
    ScopeKey,
    Units,
    View,
    show_units,
    units_of,
    units_text,
)

NOT_TOLD: Final = "NaN"
# No preset has an empty name.
WANTED: Final = ""
Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Preset:
    """`shared_memory` in bytes."""

    name: str
    slots: Mapping[str, str]
    shared_memory: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A session that somebody thinks of; each of its kernels has these slots."""

    slots: Mapping[str, Any]
    cluster_size: int = 1
    is_single_node: bool = True
    architecture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one answer is made from. `quotas` are of the keypair, the project and the domain, which
    `scopes` name; `groups` those that may be used; `own_use` what the user's sessions hold there.
    """

    quotas: Sequence[Quota]
    scopes: tuple[ScopeKey, ...]
    slots: Sequence[str]
    groups: Sequence[Group]
    nodes: Sequence[Node]
    own_use: Mapping[str, Units]
    presets: Sequence[Preset]
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Of one owner: the most, what live sessions hold, and what is left of it."""

    limits: Texts
    using: Texts
    remaining: Texts


@dataclass(frozen=True, slots=True)
class GroupRoom:
    using: Texts
    remaining: Texts


@dataclass(frozen=True, slots=True)
class Offer:
    """A preset, and why a session of it would wait now; None where it could be placed."""

    preset: Preset
    reason: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why what is wanted would wait now, or why it would be refused; None where it could be
    placed."""

    reason: str | None
    is_possible: bool = True


def account_of(quotas: Sequence[Quota], slots: Sequence[str], *, is_told: bool = True) -> Account:
    """Of the owner of the first quota; what is left is what all of them leave, as a session counts
    against each."""
    if not is_told:
        hidden = dict.fromkeys(slots, NOT_TOLD)
        return Account(hidden, hidden, hidden)
    limits = {slot: limit_of(quotas[0], slot) for slot in slots}
    using = {slot: quotas[0].slots.get(slot, 0) for slot in slots}
    left = {slot: min(left_of(one, slot) for one in quotas) for slot in slots}
    return Account(_texts(limits), _texts(using), _texts(left))


def limit_of(quota: Quota, slot: str) -> int:
    if quota.problem:
        return 0
    return quota.slots_max.get(slot, 0 if quota.is_closed else UNITS_MAX)


def left_of(quota: Quota, slot: str) -> int:
    """What may still be used; never below zero, also where a limit was lowered."""
    limit = limit_of(quota, slot)
    return limit if limit >= UNITS_MAX else max(limit - quota.slots.get(slot, 0), 0)


def rooms_of(facts: Facts) -> dict[str, GroupRoom]:
    """What the user holds in each resource group, and what is free on its nodes that take
    sessions."""
    rooms = {}
    for group in facts.groups:
        nodes = [one for one in facts.nodes if one.group == group.name]
        own = facts.own_use.get(group.name, {})
        using = {slot: own.get(slot, 0) for slot in facts.slots}
        rooms[group.name] = GroupRoom(_texts(using), _texts(_free_on(nodes, facts.slots)))
    return rooms


def room_of_all(facts: Facts) -> Texts:
    """What is free in all usable resource groups together."""
    names = {group.name for group in facts.groups}
    nodes = [one for one in facts.nodes if one.group in names]
    return _texts(_free_on(nodes, facts.slots))


def asks_of(facts: Facts, now: datetime) -> dict[str, list[Ask]]:
    """For each readable preset the sessions of one kernel that could be made of it, and under
    `WANTED` those that are wanted: one for each resource group and processor architecture."""
    usable = {group.name for group in facts.groups}
    places = sorted({(node.group, node.architecture) for node in facts.nodes})
    wishes = {preset.name: Wanted(slots=preset.slots) for preset in facts.presets}
    if facts.wanted is not None:
        wishes[WANTED] = facts.wanted
    numbers = itertools.count()
    asks = {}
    for name, wish in wishes.items():
        need = _need_of(wish)
        if need is not None:
            asks[name] = [
                _ask(next(numbers), place, need, wish, facts.scopes, now)
                for place in places
                if place[0] in usable and wish.architecture in (None, place[1])
            ]
    return asks


def view_of(facts: Facts, asks: Iterable[Ask]) -> View:
    quotas = dict(zip(facts.scopes, facts.quotas, strict=True))
    return View.of(facts.nodes, asks, facts.groups, quotas)


def offer_of(preset: Preset, reasons: Sequence[WaitReason | None] | None) -> Offer:
    """From what the planner said of its asks; None for a preset that cannot be read."""
    if reasons is None:
        return Offer(preset, "An administrator has to mend the amounts of this preset.")
    return Offer(preset, reason_of(reasons))


def reason_of(reasons: Sequence[WaitReason | None]) -> str | None:
    """Why none of these asks can be placed now; None when one can."""
    if not reasons:
        return "The resource groups that you may use have no such nodes."
    details = [reason.detail for reason in reasons if reason is not None]
    return details[0] if len(details) == len(reasons) else None


def judge(facts: Facts, reasons: Sequence[WaitReason | None]) -> Verdict:
    """Of what is wanted, from the limits and from what the planner said of its asks."""
    obstacle = _obstacle_of(facts)
    if obstacle is not None:
        return Verdict(obstacle, is_possible=False)
    return Verdict(reason_of(reasons))


def _obstacle_of(facts: Facts) -> str | None:
    """Which limit is below what is wanted, whatever else runs: no wait helps."""
    need = None if facts.wanted is None else _need_of(facts.wanted)
    if facts.wanted is None or need is None:
        return None
    for slot, units in need:
        total = units * facts.wanted.cluster_size
        for quota in facts.quotas:
            limit = limit_of(quota, slot)
            if total > limit:
                most = f"the {quota.scope} may use {show_units(slot, limit)} at most"
                return f"{show_units(slot, total)} of {slot} is too much: {most}."
    return None


def _need_of(wish: Wanted) -> tuple[tuple[str, int], ...] | None:
    try:
        units = units_of(ResourceSlots.parse(wish.slots).to_json())
    except SlotError:
        return None
    return tuple(sorted(units.items()))


def _ask(
    number: int,
    place: tuple[str, str],
    need: tuple[tuple[str, int], ...],
    wish: Wanted,
    scopes: tuple[ScopeKey, ...],
    now: datetime,
) -> Ask:
    group, architecture = place
    nobody = [uuid.UUID(fields=(number, index, 0, 0, 0, 0)) for index in range(wish.cluster_size)]
    return Ask(
        session_id=SessionId(nobody[0]),
        group=group,
        kernels=tuple(KernelAsk(KernelId(one), Revision(0), need, architecture) for one in nobody),
        priority=0,
        created_at=now,
        is_single_node=wish.is_single_node,
        scopes=scopes,
    )


def _free_on(nodes: Iterable[Node], slots: Sequence[str]) -> dict[str, int]:
    free = dict.fromkeys(slots, 0)
    for node in nodes:
        if is_taking(node):
            left = free_of(node)
            for slot in slots:
                free[slot] += max(left.get(slot, 0), 0)
    return free


def _texts(units: Mapping[str, int]) -> Texts:
    return {slot: units_text(slot, amount) for slot, amount in units.items()}
