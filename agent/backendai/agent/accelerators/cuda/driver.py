"""NVIDIA GPUs as devices: whole, in fractions, or the MIG instances that there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from backendai.agent.resources.plugin import (
    Context,
    Device,
    DeviceKey,
    Limits,
    NothingHere,
    Piece,
    Reading,
)
from backendai.agent.settings import CudaSection
from backendai.common.logs import get_logger
from backendai.common.slots import SlotName

from . import mig
from .health import XidWatch, ask, describe, find_problem
from .limits import make_limits
from .nvml import TEMPERATURE_GPU, Handle, Nvml, as_text, open_nvml

log = get_logger(__name__)

DEVICE_SLOT: Final = SlotName("cuda.device")
SHARES_SLOT: Final = SlotName("cuda.shares")
PCI_ROOT: Final = Path("/sys/bus/pci/devices")


def open_cuda(context: Context) -> "CudaDriver":
    """The entry point. Raises NothingHere on a node without NVIDIA's driver."""
    if not isinstance(context.settings, CudaSection):
        raise TypeError("[accelerators.cuda] must be the agent's own settings")
    return CudaDriver(open_nvml(), context.settings, context.mode)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the kernel and the driver tell of devices, for tests to replace."""

    pci: Path = PCI_ROOT
    mig_minors: Path = mig.MINORS_FILE
    dev: Path = Path("/dev")


@dataclass(slots=True)
class CudaDriver:
    """`parents` maps the id of each device to the uuid of its GPU: itself, but for instances."""

    nvml: Nvml
    settings: CudaSection
    mode: str
    places: Places = Places()
    name: str = "cuda"
    parents: dict[DeviceKey, str] = field(default_factory=dict)
    _xids: XidWatch | None = None

    @property
    def version(self) -> str:
        return as_text(self.nvml.nvmlSystemGetDriverVersion())

    def discover(self) -> Sequence[Device]:
        """A GPU that cannot be asked now is told of and left out: nothing is known of it."""
        count = self.nvml.nvmlDeviceGetCount()
        if not count:
            raise NothingHere("NVML lists no GPU")
        self._xids = ask(self.nvml, lambda: XidWatch(self.nvml))
        return [device for index in range(count) for device in self._devices_at(index)]

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        return make_limits(pieces, self.mode, self.settings.mps_pipe_directory)

    def measure(self) -> Mapping[DeviceKey, Reading]:
        fatal = self._xids.collect() if self._xids is not None else {}
        return {key: self._read(key[1], gpu, fatal) for key, gpu in self.parents.items()}

    def _devices_at(self, index: int) -> Iterator[Device]:
        try:
            handle = self.nvml.nvmlDeviceGetHandleByIndex(index)
            devices = list(self._devices_of(handle))
            uuid = as_text(self.nvml.nvmlDeviceGetUUID(handle))
        except self.nvml.NVMLError as error:
            log.warning("device.unreadable", plugin=self.name, index=index, detail=describe(error))
            return
        for device in devices:
            self.parents[device.key] = uuid
            yield device
        if self._xids is not None:
            self._xids.add(handle)

    def _devices_of(self, gpu: Handle) -> Iterator[Device]:
        minor = self.nvml.nvmlDeviceGetMinorNumber(gpu)
        numa_node = read_numa_node(self.places.pci, self.nvml.nvmlDeviceGetPciInfo(gpu).busId)
        if not mig.is_cut(self.nvml, gpu):
            yield self._gpu(gpu, minor, numa_node)
            return
        for instance in mig.list_instances(self.nvml, gpu):
            files = mig.device_files(self.nvml, instance, minor, self.places.mig_minors)
            slot = mig.slot_of(self.nvml, instance)
            yield self._device(instance, slot, numa_node, (*self._files(minor), *files))

    def _gpu(self, gpu: Handle, minor: int, numa_node: int | None) -> Device:
        if self.settings.slot == "device":
            return self._device(gpu, DEVICE_SLOT, numa_node, self._files(minor))
        quantum = Decimal(repr(self.settings.share_quantum))
        return self._device(gpu, SHARES_SLOT, numa_node, self._files(minor), quantum)

    def _device(
        self,
        handle: Handle,
        slot: SlotName,
        numa_node: int | None,
        files: tuple[str, ...],
        quantum: Decimal | None = None,
    ) -> Device:
        return Device(
            device_id=as_text(self.nvml.nvmlDeviceGetUUID(handle)),
            slot=slot,
            model=as_text(self.nvml.nvmlDeviceGetName(handle)),
            memory_bytes=int(self.nvml.nvmlDeviceGetMemoryInfo(handle).total),
            numa_node=numa_node,
            quantum=quantum,
            is_unique=slot not in (DEVICE_SLOT, SHARES_SLOT),
            paths=files,
        )

    def _files(self, minor: int) -> tuple[str, ...]:
        common = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
        found = [self.places.dev / name for name in common]
        return (
            str(self.places.dev / f"nvidia{minor}"),
            *(str(one) for one in found if one.exists()),
        )

    def _read(self, device_id: str, gpu: str, fatal: Mapping[str, str]) -> Reading:
        nvml = self.nvml
        try:
            parent = nvml.nvmlDeviceGetHandleByUUID(gpu.encode())
            handle = (
                parent if device_id == gpu else nvml.nvmlDeviceGetHandleByUUID(device_id.encode())
            )
            use = ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
            power = ask(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(parent))
            return Reading(
                problem=fatal.get(gpu, "") or find_problem(nvml, parent),
                utilisation_percent=None if use is None else float(use.gpu),
                memory_used_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).used),
                temperature_celsius=ask(
                    nvml, lambda: float(nvml.nvmlDeviceGetTemperature(parent, TEMPERATURE_GPU))
                ),
                power_watts=None if power is None else power / 1000,
            )
        except nvml.NVMLError as error:
            return Reading(problem=fatal.get(gpu, "") or describe(error))


def read_numa_node(root: Path, bus_id: str | bytes) -> int | None:
    """From the kernel, which writes NVML's `00000000:3B:00.0` as `0000:3b:00.0`."""
    domain, _, rest = as_text(bus_id).lower().partition(":")
    try:
        node = int((root / f"{domain[-4:]}:{rest}" / "numa_node").read_text())
    except (OSError, ValueError):
        return None
    return node if node >= 0 else None
