import asyncio
import errno
import threading
from collections.abc import Iterator

import pytest

from backendai.common.storage_faults import PathNotFound, VolumeUnavailable
from backendai.storage.volumes.threads import LONG_THREADS, VolumeThreads
from backendai.storage.volumes.volume import Work

MOST_THREADS = max(LONG_THREADS.values())


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """What a call into a file system that hangs waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads() -> Iterator[VolumeThreads]:
    made = VolumeThreads("local", 2, 60.0)
    yield made
    made.close()


@pytest.fixture
def hasty() -> Iterator[VolumeThreads]:
    made = VolumeThreads("local", 2, 0.1)
    yield made
    made.close()


async def test_errors_of_the_system_are_faults(threads: VolumeThreads) -> None:
    def fail() -> None:
        raise OSError(errno.ENOENT, "gone", "a")

    with pytest.raises(PathNotFound):
        await threads.run(fail)
    with pytest.raises(PathNotFound):
        await threads.run_long(Work.COPY, fail)


async def test_a_volume_that_hangs_costs_its_own_threads_only(
    hasty: VolumeThreads, threads: VolumeThreads, hang: threading.Event
) -> None:
    for _ in range(4):
        with pytest.raises(VolumeUnavailable):
            await hasty.run(hang.wait)
    assert await threads.run(lambda: 1) == 1
    # Whoever asks now is told at once: all of its threads are known to hang.
    with pytest.raises(VolumeUnavailable):
        hasty.run(lambda: 1).send(None)


async def test_a_volume_that_answers_again_is_used_again(
    hasty: VolumeThreads, hang: threading.Event
) -> None:
    for _ in range(2):
        with pytest.raises(VolumeUnavailable):
            await hasty.run(hang.wait)
    hang.set()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await hasty.run(lambda: 1) == 1
                break
            except VolumeUnavailable:
                await asyncio.sleep(0)


async def test_a_timeout_of_the_file_system_is_no_deadline(threads: VolumeThreads) -> None:
    def fail() -> None:
        raise TimeoutError(errno.ETIMEDOUT, "server not responding")

    with pytest.raises(VolumeUnavailable) as caught:
        await threads.run(fail)
    assert caught.value.facts["errno"] == errno.ETIMEDOUT


async def test_long_work_of_one_kind_waits_for_no_other(
    threads: VolumeThreads, hang: threading.Event
) -> None:
    for busy in Work:
        hanging = [
            asyncio.create_task(threads.run_long(busy, hang.wait)) for _ in range(2 * MOST_THREADS)
        ]
        async with asyncio.timeout(30):
            for other in set(Work) - {busy}:
                assert await threads.run_long(other, lambda: 1) == 1
        hang.set()
        await asyncio.gather(*hanging)
        hang.clear()


async def test_who_asks_for_the_same_shares_it(
    threads: VolumeThreads, hang: threading.Event
) -> None:
    calls = []

    def count() -> int:
        calls.append(1)
        hang.wait()
        return len(calls)

    def fail() -> None:
        hang.wait()
        raise OSError(errno.ENOENT, "gone", "a")

    asked = [asyncio.create_task(threads.run_shared("a", count)) for _ in range(20)]
    failing = [asyncio.create_task(threads.run_shared("b", fail)) for _ in range(20)]
    async with asyncio.timeout(30):
        assert await threads.run_shared("c", lambda: 3) == 3
    asked[0].cancel()
    hang.set()
    assert [await task for task in asked[1:]] == [1] * 19
    for task in failing:
        with pytest.raises(PathNotFound):
            await task
    assert await threads.run_shared("a", count) == 2
