"""Limits as values, and whether a request could ever fit in them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Self

from backendai.common.enums import DefaultForUnspecified, SlotType
from backendai.common.slots import (
    INFINITY,
    ZERO,
    ResourceSlots,
    SlotError,
    SlotName,
    format_amount,
    format_size,
    slot_type,
)

MIB: Final = Decimal(1 << 20)


def parse_limits(stored: object) -> ResourceSlots:
    """From a column of a table, also in the forms that people write. Raises SlotError."""
    if not isinstance(stored, Mapping):
        raise SlotError("no object of slot to amount")
    return ResourceSlots.parse(stored)


@dataclass(frozen=True, slots=True)
class SlotLimit:
    """The most of each slot that may be in use at once; `unspecified` says of the unnamed ones."""

    amounts: ResourceSlots
    unspecified: DefaultForUnspecified = DefaultForUnspecified.UNLIMITED

    def of(self, name: SlotName) -> Decimal:
        if name in self.amounts:
            return self.amounts[name]
        return ZERO if self.unspecified is DefaultForUnspecified.LIMITED else INFINITY


@dataclass(frozen=True, slots=True)
class PendingLimit:
    """The most that one keypair may have waiting in the queue; None, and an unnamed slot, are no
    limit."""

    sessions_max: int | None = None
    slots: ResourceSlots = field(default_factory=ResourceSlots)

    @classmethod
    def parse(cls, sessions_max: int | None, slots: Mapping[str, object] | None) -> Self:
        """From the two columns of a policy. Raises SlotError."""
        return cls(sessions_max, parse_limits({} if slots is None else slots))

    @property
    def is_none(self) -> bool:
        return self.sessions_max is None and not self.slots

    def exceeded_by(
        self, sessions: int, waiting: ResourceSlots, asked: ResourceSlots
    ) -> dict[str, str]:
        """Facts about the limits that one more session is beyond; it asks for `asked`, while
        `sessions` that ask for `waiting` are in the queue."""
        facts = {}
        if self.sessions_max is not None and sessions >= self.sessions_max:
            facts["pending.sessions"] = f"waiting {sessions}, limit {self.sessions_max}"
        for name, limit in self.slots.items():
            if asked[name] > 0 and waiting[name] + asked[name] > limit:
                facts[f"pending.{name}"] = (
                    f"waiting {tell_amount(name, waiting[name])}, {_told(name, asked[name], limit)}"
                )
        return facts


@dataclass(frozen=True, slots=True)
class Limits:
    """Everything that bounds the sessions of one keypair in one project.

    `slots` maps whose limit it is (keypair, project, domain) to the limit.
    """

    sessions_max: int
    containers_max: int
    slots: Mapping[str, SlotLimit] = field(default_factory=dict)
    pending: PendingLimit = PendingLimit()

    def most_of(self, name: SlotName) -> Decimal:
        """What everybody's limit allows of a slot at once; INFINITY where nobody has one."""
        return min((limit.of(name) for limit in self.slots.values()), default=INFINITY)

    def exceeded_by(self, asked: ResourceSlots) -> dict[str, str]:
        """Facts about the limits that `asked` is beyond even when nothing else runs."""
        return {
            f"{whose}.{name}": _told(name, amount, limit.of(name))
            for whose, limit in self.slots.items()
            for name, amount in asked.items()
            if amount > limit.of(name)
        }


def tell_amount(name: SlotName, amount: Decimal) -> str:
    """For people: sizes in whole MiB at least, as there is no more of them than that."""
    if slot_type(name) is not SlotType.BYTES:
        return format_amount(amount)
    return format_size(amount // MIB * MIB if amount >= MIB else amount)


def _told(name: SlotName, asked: Decimal, limit: Decimal) -> str:
    return f"asked {tell_amount(name, asked)}, limit {tell_amount(name, limit)}"
