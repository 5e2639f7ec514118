"""Limits as values, and whether a request could ever fit in them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from backendai.common.enums import DefaultForUnspecified
from backendai.common.slots import INFINITY, ZERO, ResourceSlots, SlotName, format_amount


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
class Limits:
    """Everything that bounds the sessions of one keypair in one project.

    `slots` maps whose limit it is (keypair, project, domain) to the limit.
    """

    sessions_max: int
    containers_max: int
    slots: Mapping[str, SlotLimit] = field(default_factory=dict)

    def most_of(self, name: SlotName) -> Decimal:
        """What everybody's limit allows of a slot at once; INFINITY where nobody has one."""
        return min((limit.of(name) for limit in self.slots.values()), default=INFINITY)

    def exceeded_by(self, asked: ResourceSlots) -> dict[str, str]:
        """Facts about the limits that `asked` is beyond even when nothing else runs."""
        return {
            f"{whose}.{name}": _told(amount, limit.of(name))
            for whose, limit in self.slots.items()
            for name, amount in asked.items()
            if amount > limit.of(name)
        }


def _told(asked: Decimal, limit: Decimal) -> str:
    return f"asked {format_amount(asked)}, limit {format_amount(limit)}"
