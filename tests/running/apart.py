"""Running something in a task of its own, as a daemon is one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def apart(running: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """What `running` gives, entered and left by one task: a fixture is set up and torn down by
    different ones, and what is traced inside is not of the test."""
    told = asyncio.Event()
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with running as found:
            ready.set_result(found)
            await told.wait()

    task = asyncio.create_task(run())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield ready.result()
    told.set()
    await task
