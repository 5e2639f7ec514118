"""Time as a collaborator: cores ask a `Clock`, so tests and simulations own the time.

`now` is for people and records (aware UTC), `monotonic` for measuring, in seconds.
"""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
# How often woken tasks may run before FakeClock.advance goes on to the next sleeper.
_SETTLE_ROUNDS: Final = 20


class Clock(Protocol):
    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopClock:
    """Time of the running event loop, so that a loop with virtual time moves everything.

    `skew_seconds` moves only what `now` says, as a wrongly set wall clock would.
    """

    def __init__(self, epoch: datetime = EPOCH, *, skew_seconds: float = 0.0) -> None:
        self._epoch = epoch
        self.skew_seconds = skew_seconds

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self.monotonic() + self.skew_seconds)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awakening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), awakening))
        await awakening

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking sleepers in order and letting them run at their time."""
        await self.settle()
        until = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed, _, awakening = heapq.heappop(self._sleepers)
            if not awakening.done():
                awakening.set_result(None)
                await self.settle()
        self._elapsed = until

    def shift(self, seconds: float) -> None:
        """Let `seconds` pass at once, for code that does not sleep."""
        self._elapsed += seconds

    async def settle(self) -> None:
        """Let everything run that needs no time."""
        for _ in range(_SETTLE_ROUNDS):
            await asyncio.sleep(0)
