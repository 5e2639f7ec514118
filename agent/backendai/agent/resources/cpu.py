"""Processor cores: pinned exclusively when a whole number is asked and that many are free. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from backendai.common.slots import CPU, ResourceSlots

from .plugin import Limits

WEIGHT_PER_CORE: Final = 1024


@dataclass(frozen=True, slots=True)
class CpuPlugin:
    """`cores` are those that may be pinned; `amount` may be less, where a quota binds the node."""

    cores: tuple[int, ...]
    amount: Decimal
    name: str = "cpu"
    version: str = "1"

    @property
    def capacity(self) -> ResourceSlots:
        return ResourceSlots({CPU: self.amount})

    def assign(
        self, slots: ResourceSlots, taken: Mapping[str, frozenset[str]]
    ) -> Mapping[str, list[str]]:
        """Exclusive cores, or none: then the kernel shares all cores under a quota."""
        wanted = slots[CPU]
        free = [core for core in self.cores if str(core) not in taken.get(CPU, frozenset())]
        if wanted < 1 or wanted != int(wanted) or len(free) < wanted:
            return {}
        return {CPU: [str(core) for core in free[: int(wanted)]]}

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits:
        wanted = slots[CPU]
        pinned = tuple(int(core) for core in devices.get(CPU, ()))
        count = str(max(1, int(wanted)))
        return Limits(
            cpuset=pinned or None,
            cpu_quota=None if pinned or not wanted else wanted,
            cpu_weight=wanted * WEIGHT_PER_CORE if wanted else None,
            environ=dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count),
        )
