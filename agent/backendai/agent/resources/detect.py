"""Counts what a node has: cores and memory, as far as its own cgroup allows, and device files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final

from backendai.common.faults import ServerMisconfigured
from backendai.common.slots import SlotError, parse_slot_name

from .cpu import CpuPlugin
from .devices import BadDevices, DevicePlugin
from .files import DeviceFiles
from .inventory import Inventory
from .memory import MemoryPlugin

_UNLIMITED_BYTES: Final = 1 << 62
_HUNDREDTH: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Reserved:
    """What kernels do not get, in cores and bytes."""

    cpu: Decimal
    memory_bytes: int

    @classmethod
    def of(cls, cpu: float, memory_bytes: int) -> "Reserved":
        return cls(Decimal(repr(cpu)), memory_bytes)


@dataclass(frozen=True, slots=True)
class Machine:
    """`cpu_limit` is the quota in cores that binds this process, None without one.

    `numa_nodes` maps a core to its NUMA node, where the kernel tells.
    """

    cores: tuple[int, ...]
    cpu_limit: Decimal | None
    memory_bytes: int
    numa_nodes: Mapping[int, int] = field(default_factory=dict)


def inspect_machine(
    cgroup_root: Path = Path("/sys/fs/cgroup"), numa_root: Path = Path("/sys/devices/system/node")
) -> Machine:
    limits = [_memory_total(), *_memory_limits(cgroup_root)]
    return Machine(
        cores=tuple(sorted(os.sched_getaffinity(0))),
        cpu_limit=_cpu_limit(cgroup_root),
        memory_bytes=min(limits),
        numa_nodes=read_numa_nodes(numa_root),
    )


def take_inventory(
    machine: Machine,
    reserved: Reserved,
    devices: Mapping[str, Sequence[Path]] | None = None,
    accelerators: Sequence[DevicePlugin] = (),
) -> Inventory:
    """The inventory of `machine` less what is reserved, with the configured `devices` by slot.

    Raises ServerMisconfigured.
    """
    cores = Decimal(len(machine.cores))
    usable = min(cores, machine.cpu_limit or cores) - reserved.cpu
    memory_bytes = machine.memory_bytes - reserved.memory_bytes
    if usable <= 0 or memory_bytes <= 0:
        raise ServerMisconfigured(
            f"[resource] reserves {reserved.cpu} cores and {reserved.memory_bytes} bytes, "
            f"and the machine has {cores} and {machine.memory_bytes}: nothing is left for kernels"
        )
    configured = [_device_plugin(slot, paths) for slot, paths in (devices or {}).items()]
    cpu = CpuPlugin(_pinnable(machine.cores, reserved.cpu), usable, numa_nodes=machine.numa_nodes)
    return Inventory((*configured, *accelerators, cpu, MemoryPlugin(memory_bytes)))


def read_numa_nodes(root: Path) -> dict[int, int]:
    """The NUMA node of each core, from the kernel's `node<N>/cpulist`."""
    nodes = {}
    for folder in root.glob("node[0-9]*"):
        for core in _cores_in(_read(folder / "cpulist")):
            nodes[core] = int(folder.name.removeprefix("node"))
    return nodes


def _cores_in(text: str) -> Iterator[int]:
    """The numbers of a list such as `0-3,8`."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _device_plugin(slot: str, paths: Sequence[Path]) -> DevicePlugin:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise ServerMisconfigured(
            f"[resource] devices: {slot} names {', '.join(missing)}: not there"
        )
    try:
        return DevicePlugin.of(DeviceFiles(parse_slot_name(slot), tuple(paths)))
    except (SlotError, BadDevices) as error:
        raise ServerMisconfigured(f"[resource] devices: {error}") from error


def _pinnable(cores: tuple[int, ...], reserved: Decimal) -> tuple[int, ...]:
    """The cores that kernels may have alone: not the first ones, which the node keeps."""
    kept = int(reserved.to_integral_value(ROUND_FLOOR))
    return cores[kept:] if reserved == kept else cores[kept + 1 :]


def _memory_total() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    raise ServerMisconfigured("/proc/meminfo does not tell MemTotal")


def _memory_limits(root: Path) -> list[int]:
    places = [root / "memory.max", root / "memory" / "memory.limit_in_bytes"]
    values = [int(text) for place in places if (text := _read(place)).isdigit()]
    return [value for value in values if value < _UNLIMITED_BYTES]


def _cpu_limit(root: Path) -> Decimal | None:
    quota, _, period = _read(root / "cpu.max").partition(" ")
    if not quota:
        quota = _read(root / "cpu" / "cpu.cfs_quota_us")
        period = _read(root / "cpu" / "cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit()):
        return None
    return (Decimal(quota) / Decimal(period)).quantize(_HUNDREDTH, ROUND_FLOOR)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
