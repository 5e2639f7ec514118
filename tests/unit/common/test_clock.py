"""Clocks: what tests rely on when they own the time."""

import asyncio
from datetime import UTC, datetime, timedelta

from backendai.common.clock import EPOCH, FakeClock, LoopClock, SystemClock


def test_system_time_is_aware() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert SystemClock().now().tzinfo is UTC


async def test_sleepers_wake_in_order_at_their_time() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("early", 1.0), ("never", 0.0)):
            group.create_task(sleep(name, seconds))
        await clock.advance(2.0)
        assert woken == [("never", 0.0), ("early", 1.0)]
        await clock.advance(2.0)
    assert woken[-1] == ("late", 3.0)
    assert clock.now() == EPOCH + timedelta(seconds=4)


async def test_one_advance_carries_a_repeated_sleep_through() -> None:
    clock = FakeClock()
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.advance(3.5)
    task.cancel()
    assert ticks == [1.0, 2.0, 3.0]


async def test_a_cancelled_sleeper_disturbs_nobody() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1.0))
    await clock.settle()
    task.cancel()
    await clock.advance(2.0)
    assert task.cancelled()


async def test_a_loop_clock_follows_the_loop_and_its_skew_moves_only_now() -> None:
    straight, skewed = LoopClock(), LoopClock(skew_seconds=3600)
    gap = skewed.now() - straight.now()
    assert timedelta(seconds=3599) < gap < timedelta(seconds=3601)
    assert abs(straight.monotonic() - asyncio.get_running_loop().time()) < 1
    await straight.sleep(0)
