"""One request at a time for each upload: a newer one ends the reading of an older one.

A client whose connection broke comes back before this side has noticed. It must not wait until
the old connection times out; so the newest request wins, and gets the bytes that came until then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from backendai.common.upload_faults import UploadBusy

WAIT_SECONDS: Final = 15.0


class Body(Protocol):
    """The body of a request as it comes in."""

    @property
    def has_come(self) -> bool:
        """Whether there is something to read without waiting."""
        ...

    async def readany(self) -> bytes:
        """What has come; waits for more when that is nothing. Empty at the end."""
        ...


class Interrupted(Exception):
    """A newer request for the same upload has come."""


class Idle(Exception):
    """Nothing came for too long."""


class Hold:
    """The exclusive right of one request to one upload."""

    def __init__(self) -> None:
        self._scope: asyncio.Timeout | None = None
        self._is_interrupted = False

    async def read(self, body: Body, idle_seconds: float) -> bytes:
        """The next bytes of `body`; empty at its end. Raises Interrupted, Idle, OSError."""
        if self._is_interrupted:
            raise Interrupted
        if body.has_come:
            # Without a timer, which costs more than the piece.
            return await body.readany()
        try:
            async with asyncio.timeout(idle_seconds) as self._scope:
                return await body.readany()
        except TimeoutError:
            raise self._ending() from None
        finally:
            self._scope = None

    def _ending(self) -> Exception:
        return Interrupted() if self._is_interrupted else Idle()

    def interrupt(self) -> None:
        self._is_interrupted = True
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())


class _Queue:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holds: list[Hold] = []


class Holders:
    """Who holds which upload in this process, and who waits for it."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def hold(self, upload: str) -> AsyncIterator[Hold]:
        """Interrupts those before. Raises UploadBusy when they do not let go in time."""
        queue = self._queues.setdefault(upload, _Queue())
        for earlier in queue.holds:
            earlier.interrupt()
        hold = Hold()
        queue.holds.append(hold)
        try:
            await self._acquire(queue.lock)
            try:
                yield hold
            finally:
                queue.lock.release()
        finally:
            queue.holds.remove(hold)
            if not queue.holds:
                self._queues.pop(upload, None)

    async def _acquire(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
        except TimeoutError:
            raise UploadBusy("Another request for it does not end.") from None
