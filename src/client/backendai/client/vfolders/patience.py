"""When a broken transfer is tried again, and when it is given up."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from backendai.client.faults import ConnectionLost, Unreachable, WaitedTooLong
from backendai.common.clock import Clock
from backendai.common.faults import Fault, Kind
from backendai.common.storage_faults import StorageFull
from backendai.common.upload_faults import UploadExceeded, UploadFault, UploadFull, UploadLost

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.2
PAUSE_SECONDS_MAX: Final = 5.0
# To import them is also what makes what proxies refuse be raised as what it is.
_LASTING: Final = (StorageFull, UploadExceeded, UploadFull)
_PASSING: Final = (Unreachable, ConnectionLost, WaitedTooLong, UploadFault)


def is_passing(fault: Fault) -> bool:
    """Whether the same upload or download may go on after it."""
    if isinstance(fault, _LASTING):
        return False
    return isinstance(fault, _PASSING) or fault.kind in (Kind.UNAVAILABLE, Kind.RATE_LIMITED)


def is_expired(fault: Fault) -> bool:
    """Whether it takes another ticket. Answers without a body tell no more than their status."""
    return fault.kind is Kind.UNAUTHENTICATED


def is_upload_gone(fault: Fault) -> bool:
    """Whether all bytes have to be sent anew, with another ticket."""
    return isinstance(fault, UploadLost) or fault.kind is Kind.NOT_FOUND or is_expired(fault)


class Patience:
    """For `seconds` without any progress, with longer pauses each time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._best = 0
        self._give_up_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def note(self, offset: int) -> None:
        """Progress is what goes beyond all that was before."""
        if offset > self._best:
            self._best = offset
            self._give_up_at = 0.0
            self._pause_seconds = FIRST_PAUSE_SECONDS

    async def ask(self, begin: Callable[[], Awaitable[T]]) -> T:
        """What `begin` gives, asked again after faults that pass."""
        while True:
            try:
                return await begin()
            except Fault as fault:
                await self.pause(fault, passes=is_passing(fault))

    async def pause(self, fault: Fault, *, passes: bool) -> None:
        """Raises `fault` when there is no more patience with it, or it never passes."""
        if not passes:
            raise fault
        now = self._clock.monotonic()
        self._give_up_at = self._give_up_at or now + self._seconds
        if now >= self._give_up_at:
            raise fault
        await self._clock.sleep(self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, PAUSE_SECONDS_MAX)
