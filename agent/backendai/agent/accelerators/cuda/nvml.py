"""The part of NVML that is used here, typed; the module `pynvml` is loaded only when it is needed.

Every call may raise the module's NVMLError, whose `value` is one of the numbers below.
"""

import importlib
from typing import Any, Final, Protocol, cast

from backendai.agent.resources.plugin import NothingHere

NOT_SUPPORTED: Final = 3
NO_PERMISSION: Final = 4
NOT_FOUND: Final = 6
DRIVER_NOT_LOADED: Final = 9
TIMEOUT: Final = 10
LIBRARY_NOT_FOUND: Final = 12
FUNCTION_NOT_FOUND: Final = 13
GPU_IS_LOST: Final = 15
RESET_REQUIRED: Final = 16

# A node without NVIDIA's driver or devices: nothing is wrong with it.
ABSENT: Final = frozenset({DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, NOT_FOUND})
# What a GPU cannot tell. NOT_FOUND is the answer for a MIG instance that there is not.
UNTOLD: Final = frozenset({NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND})

MIG_ENABLED: Final = 1
TEMPERATURE_GPU: Final = 0
UNCORRECTED: Final = 1
SINCE_RESET: Final = 0
XID_EVENTS: Final = 8

# NVML's handles and structures have no types of their own.
Handle = Any


class Nvml(Protocol):
    """Sizes in bytes, temperature in °C, power in mW, utilisation in percent."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlSystemGetDriverVersion(self) -> str: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle: ...  # noqa: N802
    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> Handle: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: Handle) -> str: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Handle) -> str: ...  # noqa: N802
    def nvmlDeviceGetMinorNumber(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlDeviceGetPciInfo(self, handle: Handle) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> Any: ...  # noqa: N802
    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> Any: ...  # noqa: N802
    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlDeviceGetMigMode(self, handle: Handle) -> list[int]: ...  # noqa: N802
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlDeviceGetMigDeviceHandleByIndex(  # noqa: N802
        self, handle: Handle, index: int
    ) -> Handle: ...
    def nvmlDeviceGetGpuInstanceId(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlDeviceGetComputeInstanceId(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlDeviceGetTotalEccErrors(  # noqa: N802
        self, handle: Handle, error_type: int, counter: int
    ) -> int: ...
    def nvmlDeviceGetRemappedRows(self, handle: Handle) -> tuple[int, ...]: ...  # noqa: N802
    def nvmlDeviceGetRetiredPagesPendingStatus(self, handle: Handle) -> int: ...  # noqa: N802
    def nvmlEventSetCreate(self) -> Any: ...  # noqa: N802
    def nvmlDeviceRegisterEvents(  # noqa: N802
        self, handle: Handle, types: int, events: Any
    ) -> None: ...
    def nvmlEventSetWait_v2(self, events: Any, milliseconds: int) -> Any: ...  # noqa: N802


def open_nvml() -> Nvml:
    """NVML, begun. Raises NothingHere without the module, the driver or any device."""
    try:
        nvml = cast(Nvml, importlib.import_module("pynvml"))
    except ImportError:
        raise NothingHere(
            "nvidia-ml-py is not installed: pip install backendai-agent[cuda]"
        ) from None
    begin(nvml)
    return nvml


def begin(nvml: Nvml) -> None:
    """Raises NothingHere on a node without the driver or any device, else NVMLError."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if code_of(error) in ABSENT:
            raise NothingHere(f"NVML: {error}") from None
        raise


def code_of(error: Exception) -> int:
    return int(getattr(error, "value", -1))


def as_text(value: str | bytes) -> str:
    """Older versions of the module give bytes."""
    return value.decode() if isinstance(value, bytes) else value
