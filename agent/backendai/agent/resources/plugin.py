"""What an accelerator is: a driver of devices, found through an entry point, and what it gives.

An entry point in the group `backendai.accelerators` is called with a Context and gives an
Accelerator. Which kernel gets which device is decided here in the agent, the same way for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from backendai.common.enums import SlotType
from backendai.common.slots import ResourceSlots, SlotName, slot_type

_T = TypeVar("_T")

ENTRY_POINTS_GROUP: Final = "backendai.accelerators"
# A device's name: its slot, and the id that is unique within the slot.
DeviceKey = tuple[str, str]


class NothingHere(Exception):
    """Raised by an entry point on a node that has nothing for it; the text says why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an entry point is told.

    `mode` is the agent's backend, `docker` or `process`; `settings` the plugin's own table of
    `[accelerators]` in agent.toml, as the agent's settings for the plugins that come with it and
    as text by key for others.
    """

    mode: str
    settings: object = None


@dataclass(frozen=True, slots=True)
class Device:
    """One device, which offers `amount` of one slot.

    Without a `quantum` it is given whole, to one kernel at a time; with one, in multiples of it.
    Of a slot with `is_unique` devices a kernel gets one at most. `paths` are device files of the
    host, `numa_node` is None where it is not known.
    """

    device_id: str
    slot: SlotName
    model: str = ""
    memory_bytes: int = 0
    numa_node: int | None = None
    amount: Decimal = Decimal(1)
    quantum: Decimal | None = None
    is_unique: bool = False
    paths: tuple[str, ...] = ()

    @property
    def key(self) -> DeviceKey:
        return (self.slot, self.device_id)

    @property
    def kind(self) -> SlotType:
        return SlotType.UNIQUE if self.is_unique else slot_type(self.slot)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one kernel has of a device: `amount` of its slot, at most the device's own."""

    device: Device
    amount: Decimal

    @property
    def fraction(self) -> Decimal:
        return self.amount / self.device.amount


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a device. A `problem` makes it sick; empty: it is well. None: not known."""

    problem: str = ""
    utilisation_percent: float | None = None
    memory_used_bytes: int | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    source: str
    target: str
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Devices that an engine's own driver brings into the container: Docker's `DeviceRequests`."""

    driver: str
    device_ids: tuple[str, ...]
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container gets. None means that this plugin says nothing of it.

    `cpuset` are core numbers, `cpu_quota` cores as a CFS limit, `device_paths` host devices. A user
    may replace a variable of `environ`, and none of `fixed_environ`.
    """

    cpuset: tuple[int, ...] | None = None
    cpu_quota: Decimal | None = None
    cpu_weight: Decimal | None = None
    memory_bytes: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    device_paths: tuple[str, ...] = ()
    fixed_environ: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()


class Accelerator(Protocol):
    """A driver of devices. `version` is shown to operators."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def discover(self) -> Sequence[Device]:
        """All devices, in the order in which they are numbered. Called once; may block."""
        ...

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        """What a container needs to use `pieces`, which are never none. PURE."""
        ...

    def measure(self) -> Mapping[DeviceKey, Reading]:
        """A look at each device. May block; one that is left out is sick."""
        ...


@dataclass(frozen=True, slots=True)
class Occupied:
    """What is not free: `held` names devices of living kernels by slot, one text for each hold.

    Nothing new is put on `sick` devices. `near` are the NUMA nodes of what the kernel has so far.
    """

    held: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sick: frozenset[DeviceKey] = frozenset()
    near: frozenset[int] = frozenset()


FREE: Final = Occupied()


class Plugin(Protocol):
    """One kind of resource, as the inventory sees it: cores, memory, or one driver's devices."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def devices(self) -> tuple[Device, ...]: ...

    def capacity(self, occupied: Occupied = FREE) -> ResourceSlots:
        """What kernels have and may get, reserved amounts already taken off."""
        ...

    def assign(self, slots: ResourceSlots, occupied: Occupied) -> Mapping[str, list[str]]:
        """The holds for `slots`, by slot. Slots that are not this plugin's are ignored.

        Raises NotEnoughDevices, or BadOrder for an amount that no device could ever give.
        """
        ...

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits: ...


def merge_limits(parts: Sequence[Limits]) -> Limits:
    """One set of limits; of several that speak of the same thing the first one counts."""
    return Limits(
        cpuset=_first([one.cpuset for one in parts]),
        cpu_quota=_first([one.cpu_quota for one in parts]),
        cpu_weight=_first([one.cpu_weight for one in parts]),
        memory_bytes=_first([one.memory_bytes for one in parts]),
        environ=_joined([one.environ for one in parts]),
        device_paths=tuple(dict.fromkeys(path for one in parts for path in one.device_paths)),
        fixed_environ=_joined([one.fixed_environ for one in parts]),
        mounts=tuple(mount for one in parts for mount in one.mounts),
        device_requests=tuple(request for one in parts for request in one.device_requests),
    )


def _first(values: Sequence[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _joined(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for one in reversed(parts) for key, value in one.items()}
