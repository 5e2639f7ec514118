import asyncio
import errno
import threading
from collections.abc import Iterator

import pytest

from backendai.common.storage_faults import PathNotFound, VolumeUnavailable
from backendai.storage.volumes.threads import VolumeThreads


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
        await threads.run_long(fail)


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
