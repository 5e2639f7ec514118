"""Main memory: a limit for memory and swap together. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.slots import MEM, ResourceSlots

from .plugin import FREE, Device, Limits, Occupied

# Below this the runner itself does not come up, and the kernel would die with a riddle.
MEMORY_BYTES_MIN: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryPlugin:
    bytes_total: int
    name: str = "memory"
    version: str = "1"

    @property
    def devices(self) -> tuple[Device, ...]:
        return ()

    def capacity(self, occupied: Occupied = FREE) -> ResourceSlots:
        return ResourceSlots.of(mem=self.bytes_total)

    def assign(self, slots: ResourceSlots, occupied: Occupied) -> Mapping[str, list[str]]:
        return {}

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits:
        if not slots[MEM]:
            return Limits()
        return Limits(memory_bytes=max(int(slots[MEM]), MEMORY_BYTES_MIN))
