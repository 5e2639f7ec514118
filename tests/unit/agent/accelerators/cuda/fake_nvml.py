"""NVML as its public reference describes it, for GPUs that are made up.

Functions and numbers are those of the module `pynvml`, and errors are its own class: a test asserts
that whatever is offered here is there too.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 2**30
NVMLError = pynvml.NVMLError


@dataclass
class FakeInstance:
    """A MIG instance: `profile` is the end of its name."""

    uuid: str
    profile: str
    gpu_instance: int
    compute_instance: int = 0
    memory_bytes: int = 10 * GIB
    used_bytes: int = 0


@dataclass
class FakeGpu:
    """`errors` are the codes that functions raise for it by name; `*` is for each of them."""

    uuid: str
    minor: int
    name: str = "NVIDIA H100 80GB HBM3"
    bus_id: "str | bytes" = "00000000:3B:00.0"
    memory_bytes: int = 80 * GIB
    used_bytes: int = 0
    busy_percent: int = 0
    ecc_errors: int = 0
    rows: tuple[int, int, int, int] = (0, 0, 0, 0)
    is_mig: bool = False
    instances: list[FakeInstance] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)


class FakeNvml:
    """`init_error` is what nvmlInit raises, 0 for nothing."""

    def __init__(self, *gpus: FakeGpu, init_error: int = 0) -> None:
        self.NVMLError = NVMLError
        self.gpus = list(gpus)
        self.init_error = init_error
        self.events: list[tuple[FakeGpu, int]] = []
        self.registered: list[str] = []

    def nvmlInit(self) -> None:
        if self.init_error:
            raise NVMLError(self.init_error)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return self._checked(self.gpus[index], "nvmlDeviceGetHandleByIndex")

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> Any:
        for gpu in self.gpus:
            for one in (gpu, *gpu.instances):
                if one.uuid == uuid.decode():
                    return self._checked(one, "nvmlDeviceGetHandleByUUID")
        raise NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        return str(self._checked(handle, "nvmlDeviceGetUUID").uuid)

    def nvmlDeviceGetName(self, handle: Any) -> str:
        one = self._checked(handle, "nvmlDeviceGetName")
        parent = self._parent(one)
        return parent.name if one is parent else f"{parent.name} MIG {one.profile}"

    def nvmlDeviceGetMinorNumber(self, handle: Any) -> int:
        return int(self._checked(handle, "nvmlDeviceGetMinorNumber").minor)

    def nvmlDeviceGetPciInfo(self, handle: Any) -> Any:
        return SimpleNamespace(busId=self._checked(handle, "nvmlDeviceGetPciInfo").bus_id)

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:
        one = self._checked(handle, "nvmlDeviceGetMemoryInfo")
        free = one.memory_bytes - one.used_bytes
        return SimpleNamespace(total=one.memory_bytes, used=one.used_bytes, free=free)

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:
        one = self._checked(handle, "nvmlDeviceGetUtilizationRates")
        if isinstance(one, FakeInstance):
            raise NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=one.busy_percent, memory=0)

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int:
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        self._checked(handle, "nvmlDeviceGetTemperature")
        return 45

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:
        self._checked(handle, "nvmlDeviceGetPowerUsage")
        return 123_400

    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]:
        mode = int(self._checked(handle, "nvmlDeviceGetMigMode").is_mig)
        return [mode, mode]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int:
        self._checked(handle, "nvmlDeviceGetMaxMigDeviceCount")
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: int) -> Any:
        found = self._checked(handle, "nvmlDeviceGetMigDeviceHandleByIndex").instances
        if index >= len(found):
            raise NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found[index]

    def nvmlDeviceGetGpuInstanceId(self, handle: Any) -> int:
        return int(handle.gpu_instance)

    def nvmlDeviceGetComputeInstanceId(self, handle: Any) -> int:
        return int(handle.compute_instance)

    def nvmlDeviceGetTotalEccErrors(self, handle: Any, error_type: int, counter: int) -> int:
        assert error_type == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        assert counter == pynvml.NVML_VOLATILE_ECC
        return int(self._checked(handle, "nvmlDeviceGetTotalEccErrors").ecc_errors)

    def nvmlDeviceGetRemappedRows(self, handle: Any) -> tuple[int, ...]:
        rows: tuple[int, ...] = self._checked(handle, "nvmlDeviceGetRemappedRows").rows
        return rows

    def nvmlDeviceGetRetiredPagesPendingStatus(self, handle: Any) -> int:
        self._checked(handle, "nvmlDeviceGetRetiredPagesPendingStatus")
        return 0

    def nvmlEventSetCreate(self) -> Any:
        return self.events

    def nvmlDeviceRegisterEvents(self, handle: Any, types: int, events: Any) -> None:
        assert types == pynvml.nvmlEventTypeXidCriticalError
        assert events is self.events
        self.registered.append(self._checked(handle, "nvmlDeviceRegisterEvents").uuid)

    def nvmlEventSetWait_v2(self, events: Any, milliseconds: int) -> Any:
        assert milliseconds == 0
        if not events:
            raise NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        gpu, xid = events.pop(0)
        return SimpleNamespace(device=gpu, eventData=xid)

    def _checked(self, handle: Any, function: str) -> Any:
        errors = self._parent(handle).errors
        code = errors.get(function, errors.get("*", 0))
        if code:
            raise NVMLError(code)
        return handle

    def _parent(self, handle: Any) -> FakeGpu:
        return next(gpu for gpu in self.gpus if handle is gpu or handle in gpu.instances)
