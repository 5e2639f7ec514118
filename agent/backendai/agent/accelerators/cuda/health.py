"""Whether a GPU may still be given out: lost, in need of a reset, with failing memory, or by XID.

An XID is the driver's number for what went wrong. Those that a user's program causes are no
sickness of the GPU; those named here are over only with a reset of it.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from .nvml import (
    GPU_IS_LOST,
    NOT_FOUND,
    RESET_REQUIRED,
    SINCE_RESET,
    UNCORRECTED,
    UNTOLD,
    XID_EVENTS,
    Handle,
    Nvml,
    as_text,
    code_of,
)

T = TypeVar("T")

FATAL_XIDS: Final = {
    48: "a memory error that could not be corrected",
    62: "its micro-controller has halted",
    64: "a broken row of memory could not be replaced",
    74: "NVLink has failed",
    79: "it has fallen off the bus",
    95: "a memory error that could not be contained",
    119: "its system processor does not answer",
    120: "its system processor has failed",
    140: "a memory error that could not be recovered",
}
EVENTS_AT_ONCE_MAX: Final = 1000


def ask(nvml: Nvml, question: Callable[[], T]) -> T | None:
    """The answer, or None where this GPU cannot tell. Raises NVMLError for what is wrong."""
    try:
        return question()
    except nvml.NVMLError as error:
        if code_of(error) in UNTOLD:
            return None
        raise


def find_problem(nvml: Nvml, handle: Handle) -> str:
    """What keeps the GPU from being given out, by its counters; empty: nothing."""
    errors = ask(nvml, lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, UNCORRECTED, SINCE_RESET))
    if errors:
        return f"{errors} memory errors that could not be corrected since its last reset"
    rows = ask(nvml, lambda: nvml.nvmlDeviceGetRemappedRows(handle))
    if rows is not None and rows[3]:
        return "a broken row of memory could not be replaced"
    if rows is not None and rows[2]:
        return "a broken row of memory waits to be replaced: reset the GPU"
    if ask(nvml, lambda: nvml.nvmlDeviceGetRetiredPagesPendingStatus(handle)):
        return "broken pages of memory wait to be retired: reset the GPU"
    return ""


def describe(error: Exception) -> str:
    """The problem that an NVMLError tells of."""
    code = code_of(error)
    if code == GPU_IS_LOST:
        return "the GPU is lost: it has fallen off the bus or is not reachable"
    if code == RESET_REQUIRED:
        return "the GPU must be reset"
    if code == NOT_FOUND:
        return "the driver does not list it any more"
    return f"NVML: {error}"


class XidWatch:
    """XID events since it was made; a fatal one is remembered until the agent starts anew."""

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._events = nvml.nvmlEventSetCreate()
        self._problems: dict[str, str] = {}

    def add(self, handle: Handle) -> None:
        """A GPU that cannot tell of events is watched by its counters alone."""
        ask(
            self._nvml,
            lambda: self._nvml.nvmlDeviceRegisterEvents(handle, XID_EVENTS, self._events),
        )

    def collect(self) -> dict[str, str]:
        """Problems by the GPU's uuid. Does not wait for events."""
        for _ in range(EVENTS_AT_ONCE_MAX):
            try:
                event = self._nvml.nvmlEventSetWait_v2(self._events, 0)
            except self._nvml.NVMLError:
                # There is none (a timeout), or the driver fails, which each GPU's look tells.
                break
            self._note(event.device, int(event.eventData))
        return self._problems

    def _note(self, handle: Handle, xid: int) -> None:
        if xid not in FATAL_XIDS:
            return
        try:
            uuid = as_text(self._nvml.nvmlDeviceGetUUID(handle))
        except self._nvml.NVMLError:
            # It cannot even say its name any more: its own look finds it lost.
            return
        self._problems[uuid] = f"XID {xid}: {FATAL_XIDS[xid]}"
