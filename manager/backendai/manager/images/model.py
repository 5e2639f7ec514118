"""An image as a value, and what its labels say. Pure."""

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from backendai.common.slots import (
    CPU,
    MEM,
    ResourceSlots,
    SlotError,
    SlotName,
    parse_amount,
    parse_size,
    parse_slot_name,
)

MINIMUM_PREFIX: Final = "ai.backend.resource.min."
PREFERRED_SHARED_MEMORY: Final = "ai.backend.resource.preferred.shmem"
# What a kernel gets of a slot that its session does not ask for, where the image needs no more
# and the policies allow as much. Enough to import numpy; an image's minimum seldom is.
DEFAULT_SLOTS: Final = ResourceSlots.of(cpu=1, mem="1g")
# Less than this does not hold the runner and a shell.
MEMORY_BYTES_MIN: Final = parse_size("32m")
SHARED_MEMORY_DEFAULT: Final = parse_size("64m")


@dataclass(frozen=True, slots=True)
class Image:
    """`name` is canonical: `registry/project/name:tag`, without a registry for local ones.

    `resource_limits` are an administrator's: slot -> {"min"?, "max"?}, amounts as texts.
    """

    id: uuid.UUID
    name: str
    architecture: str
    registry: str
    tag: str
    digest: str
    size_bytes: int
    labels: Mapping[str, str]
    resource_limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def minimum_slots(self) -> ResourceSlots:
        """What a kernel needs at least: as an administrator set, else as the labels say; labels
        that make no sense count as absent."""
        named = self._named_slots() | self._limits("min")
        memory = max(named.get(MEM, MEMORY_BYTES_MIN), MEMORY_BYTES_MIN)
        return ResourceSlots({**named, CPU: named.get(CPU, Decimal(0)), MEM: memory})

    def maximum_slots(self) -> dict[SlotName, Decimal]:
        """What a kernel gets at most of some slots, as an administrator set; never less than the
        minimum."""
        least = self.minimum_slots()
        return {name: max(amount, least[name]) for name, amount in self._limits("max").items()}

    def default_slots(self) -> ResourceSlots:
        """What a kernel gets that asks for nothing: the defaults, or what the image needs, and no
        more than it may have."""
        least, most = self.minimum_slots(), self.maximum_slots()
        wanted = {
            name: max(DEFAULT_SLOTS[name], least[name]) for name in {**DEFAULT_SLOTS, **least}
        }
        return ResourceSlots(
            {name: min(amount, most.get(name, amount)) for name, amount in wanted.items()}
        )

    def shared_memory(self) -> Decimal:
        try:
            return parse_size(self.labels.get(PREFERRED_SHARED_MEMORY, SHARED_MEMORY_DEFAULT))
        except SlotError:
            return SHARED_MEMORY_DEFAULT

    def _named_slots(self) -> dict[SlotName, Decimal]:
        found: dict[SlotName, Decimal] = {}
        for label, text in self.labels.items():
            if label.startswith(MINIMUM_PREFIX):
                with contextlib.suppress(SlotError):
                    name = parse_slot_name(label.removeprefix(MINIMUM_PREFIX))
                    found[name] = parse_amount(name, text)
        return found

    def _limits(self, edge: str) -> dict[SlotName, Decimal]:
        found = {}
        for text, limit in self.resource_limits.items():
            if edge in limit:
                name = parse_slot_name(text)
                found[name] = parse_amount(name, limit[edge])
        return found
