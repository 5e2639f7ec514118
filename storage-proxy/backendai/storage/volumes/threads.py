"""The threads of one volume: a file system that hangs holds these, and nothing else."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from backendai.common.storage_faults import VolumeUnavailable

from .oserrors import fault_of
from .volume import Work

T = TypeVar("T")

# Each as long as it takes. Two loops clean: the trash, and uploads that nobody ended.
LONG_THREADS: Final = {
    Work.COUNT: 4,
    Work.COPY: 4,
    Work.UNPACK: 4,
    Work.CHECK: 2,
    Work.CLEAN: 2,
}


class VolumeThreads:
    """Bounded pools: one for work that has a deadline, and one for each kind of long work."""

    def __init__(self, volume: str, count: int, timeout_seconds: float) -> None:
        self._volume = volume
        self._timeout_seconds = timeout_seconds
        self._short = ThreadPoolExecutor(count, f"{volume}-short")
        self._long = {
            work: ThreadPoolExecutor(most, f"{volume}-{work.value}")
            for work, most in LONG_THREADS.items()
        }
        self._shared: dict[Hashable, asyncio.Future[Any]] = {}
        self._free = asyncio.Semaphore(count)
        self._count = count
        self._hanging = 0

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """`function(*args)` in a thread. OSErrors become faults.

        Raises VolumeUnavailable when it takes longer than the deadline, waiting for a thread
        included; the thread is lost until the file system lets it go.
        """
        if self._hanging >= self._count:
            raise self._unavailable()
        deadline = asyncio.timeout(self._timeout_seconds)
        try:
            async with deadline:
                return await self._in_thread(function, args)
        except TimeoutError as error:
            if not deadline.expired():
                raise fault_of(error, self._volume) from error
            raise self._unavailable() from error
        except OSError as error:
            raise fault_of(error, self._volume) from error

    async def run_long(self, work: Work, function: Callable[..., T], *args: object) -> T:
        """As `run`, without a deadline, and apart from the threads of other work."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._long[work], function, *args)
        except OSError as error:
            raise fault_of(error, self._volume) from error

    async def run_shared(self, key: Hashable, function: Callable[..., T], *args: object) -> T:
        """As `run_long`, for counting; who comes with the same `key` meanwhile waits for the same,
        without a thread. It goes on when nobody waits any more."""
        step: asyncio.Future[T] | None = self._shared.get(key)
        if step is None:
            pool = self._long[Work.COUNT]
            step = asyncio.get_running_loop().run_in_executor(pool, function, *args)
            self._shared[key] = step
            step.add_done_callback(lambda done: self._end_shared(key, done))
        try:
            return await asyncio.shield(step)
        except OSError as error:
            raise fault_of(error, self._volume) from error

    def _end_shared(self, key: Hashable, step: "asyncio.Future[Any]") -> None:
        del self._shared[key]
        if not step.cancelled():
            step.exception()

    async def _in_thread(self, function: Callable[..., T], args: tuple[object, ...]) -> T:
        await self._free.acquire()
        step = asyncio.get_running_loop().run_in_executor(self._short, function, *args)
        step.add_done_callback(self._release)
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            if not step.done():
                self._hanging += 1
                step.add_done_callback(self._recover)
            raise

    def _release(self, step: "asyncio.Future[T]") -> None:
        self._free.release()
        if not step.cancelled():
            # Told of here when nobody waits for it any more.
            step.exception()

    def _recover(self, _step: "asyncio.Future[T]") -> None:
        self._hanging -= 1

    def _unavailable(self) -> VolumeUnavailable:
        return VolumeUnavailable(
            f"volume {self._volume} did not answer within {self._timeout_seconds:g} s",
            {"volume": self._volume},
        )

    def close(self) -> None:
        """Threads that hang are left behind: they end with the process."""
        for pool in (self._short, *self._long.values()):
            pool.shutdown(wait=False, cancel_futures=True)
