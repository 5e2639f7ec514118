"""Processor cores: pinned exclusively when a whole number is asked and that many are free. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from backendai.common.slots import CPU, ResourceSlots

from .plugin import FREE, Device, Limits, Occupied

WEIGHT_PER_CORE: Final = 1024


@dataclass(frozen=True, slots=True)
class CpuPlugin:
    """`cores` are those that may be pinned; `amount` may be less, where a quota binds the node.

    `numa_nodes` maps a core to its NUMA node, as far as that is known.
    """

    cores: tuple[int, ...]
    amount: Decimal
    name: str = "cpu"
    version: str = "1"
    numa_nodes: Mapping[int, int] = field(default_factory=dict)

    @property
    def devices(self) -> tuple[Device, ...]:
        return ()

    def capacity(self, occupied: Occupied = FREE) -> ResourceSlots:
        return ResourceSlots({CPU: self.amount})

    def assign(self, slots: ResourceSlots, occupied: Occupied) -> Mapping[str, list[str]]:
        """Exclusive cores, those near the kernel's devices first; or none: then the kernel shares
        all cores under a quota.
        """
        wanted = slots[CPU]
        taken = frozenset(occupied.held.get(CPU, ()))
        free = [core for core in self.cores if str(core) not in taken]
        if wanted < 1 or wanted != int(wanted) or len(free) < wanted:
            return {}
        near = sorted(free, key=lambda core: self.numa_nodes.get(core, -1) not in occupied.near)
        return {CPU: [str(core) for core in sorted(near[: int(wanted)])]}

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
