"""Named, bounded threads for blocking work on files."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from .faults import DiskRefused

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """`await threads.run(function, …)` runs it in one of `count` threads."""

    def __init__(self, name: str, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, name)

    async def run(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Raises DiskRefused for what the file system refuses: a full disk ends no daemon."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, lambda: function(*args, **options))
        except OSError as error:
            raise DiskRefused(str(error)) from error

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


async def finish(step: "asyncio.Future[T] | asyncio.Task[T]") -> T:
    """The result of `step`, which is let run to its end even when the waiter is cancelled.

    A call that an engine has begun cannot be taken back: whoever gives up on it must still know
    that it is over before saying that nothing is there.
    """
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait([step])
        if not step.cancelled():
            step.exception()
        raise
