"""An image as a value, and what its labels say. Pure."""

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
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
    """`name` is canonical: `registry/project/name:tag`, without a registry for local ones."""

    id: uuid.UUID
    name: str
    architecture: str
    registry: str
    tag: str
    digest: str
    size_bytes: int
    labels: Mapping[str, str]

    def minimum_slots(self) -> ResourceSlots:
        """What the image says it needs at least; labels that make no sense count as absent."""
        named = self._named_slots()
        memory = max(named.get(MEM, MEMORY_BYTES_MIN), MEMORY_BYTES_MIN)
        return ResourceSlots({**named, CPU: named.get(CPU, Decimal(0)), MEM: memory})

    def default_slots(self) -> ResourceSlots:
        """What a kernel gets that asks for nothing: the defaults, or what the image needs."""
        least = self.minimum_slots()
        return ResourceSlots(
            {name: max(DEFAULT_SLOTS[name], least[name]) for name in {**DEFAULT_SLOTS, **least}}
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
