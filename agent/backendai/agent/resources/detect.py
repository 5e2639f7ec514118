"""Counts what a node has: cores and memory, as far as its own cgroup allows, and plugins found."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from backendai.common.faults import ServerMisconfigured
from backendai.common.logs import get_logger
from backendai.common.slots import SlotError, parse_slot_name

from .countable import CountablePlugin, Device
from .cpu import CpuPlugin
from .inventory import Inventory
from .memory import MemoryPlugin
from .plugin import ENTRY_POINTS_GROUP, Plugin

log = get_logger(__name__)

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
    """`cpu_limit` is the quota in cores that binds this process, None without one."""

    cores: tuple[int, ...]
    cpu_limit: Decimal | None
    memory_bytes: int


def inspect_machine(cgroup_root: Path = Path("/sys/fs/cgroup")) -> Machine:
    limits = [_memory_total(), *_memory_limits(cgroup_root)]
    return Machine(
        cores=tuple(sorted(os.sched_getaffinity(0))),
        cpu_limit=_cpu_limit(cgroup_root),
        memory_bytes=min(limits),
    )


def take_inventory(
    machine: Machine, reserved: Reserved, devices: Mapping[str, Sequence[Path]] | None = None
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
    own = (
        CpuPlugin(_pinnable(machine.cores, reserved.cpu), usable),
        MemoryPlugin(memory_bytes),
    )
    configured = [_device_plugin(slot, paths) for slot, paths in (devices or {}).items()]
    return Inventory((*own, *configured, *load_plugins(entry_points(group=ENTRY_POINTS_GROUP))))


def load_plugins(found: Iterable[EntryPoint]) -> list[Plugin]:
    """The plugins that count something here; one that fails is told of and left out."""
    plugins: list[Plugin] = []
    for point in found:
        try:
            plugin: Plugin = point.load()()
        except Exception as error:
            # A broken driver of one device must not take the whole node away.
            log.crash("plugin.failed", error, plugin=point.name)
            continue
        if any(plugin.capacity.values()):
            plugins.append(plugin)
    return plugins


def _device_plugin(slot: str, paths: Sequence[Path]) -> Plugin:
    try:
        name = parse_slot_name(slot)
    except SlotError as error:
        raise ServerMisconfigured(f"[resource] devices: {error}") from error
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise ServerMisconfigured(
            f"[resource] devices: {slot} names {', '.join(missing)}: not there"
        )
    return CountablePlugin(slot, name, tuple(Device(path.name, (str(path),)) for path in paths))


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
