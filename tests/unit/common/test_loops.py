"""Loops go on after faults, stop at anything else, and show when they stand still."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backendai.common.clock import FakeClock
from backendai.common.faults import StoreUnavailable
from backendai.common.loops import LoopHealth, Wake, sleep_or_hint, supervise


class Steps:
    """A step that notes when it runs, and raises what it is told to."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.times: list[float] = []
        self.error: BaseException | None = None

    async def __call__(self) -> None:
        self.times.append(self.clock.monotonic())
        if self.error is not None:
            raise self.error


async def run_for(
    clock: FakeClock, seconds: float, step: Callable[[], Awaitable[None]], **options: Any
) -> None:
    task = asyncio.create_task(supervise("loop", step, clock=clock, **options))
    await clock.advance(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_loop_runs_now_and_then_each_period() -> None:
    steps = Steps(FakeClock())
    await run_for(steps.clock, 100, steps, period_seconds=10.0)
    assert 10 <= len(steps.times) <= 12
    assert steps.times[0] == 0.0
    gaps = {round(b - a, 3) for a, b in zip(steps.times, steps.times[1:], strict=False)}
    assert all(9 <= gap <= 11 for gap in gaps)
    assert len(gaps) > 1, "the period is jittered"


async def test_a_fault_backs_off_and_does_not_end_the_loop() -> None:
    steps = Steps(FakeClock())
    steps.error = StoreUnavailable()
    await run_for(steps.clock, 300, steps, period_seconds=0.5)
    gaps = [b - a for a, b in zip(steps.times, steps.times[1:], strict=False)]
    assert gaps[0] <= 0.5
    assert 15 <= max(gaps) <= 30
    assert len(steps.times) < 30


async def test_the_back_off_of_a_loop_that_is_counted_on_is_short() -> None:
    steps = Steps(FakeClock())
    steps.error = StoreUnavailable()
    await run_for(steps.clock, 300, steps, period_seconds=2.0, backoff_seconds_max=2.0)
    gaps = [b - a for a, b in zip(steps.times, steps.times[1:], strict=False)]
    assert max(gaps) <= 2


async def test_hints_do_not_shorten_the_back_off() -> None:
    steps, wake = Steps(FakeClock()), Wake()
    steps.error = StoreUnavailable()

    async def step() -> None:
        wake.hint()
        await steps()

    await run_for(steps.clock, 300, step, period_seconds=1.0, wake=wake)
    assert len(steps.times) < 30


async def test_anything_but_a_fault_leaves_the_loop() -> None:
    steps = Steps(FakeClock())
    steps.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        await supervise("loop", steps, period_seconds=1.0, clock=steps.clock)


async def test_a_hint_runs_the_step_at_once_and_many_count_as_one() -> None:
    steps, wake = Steps(FakeClock()), Wake()
    task = asyncio.create_task(
        supervise("loop", steps, period_seconds=1000.0, clock=steps.clock, wake=wake)
    )
    await steps.clock.advance(5)
    for _ in range(7):
        wake.hint()
    await steps.clock.advance(5)
    assert steps.times == [0.0, 5.0]
    wake.hint()
    await steps.clock.advance(5)
    assert steps.times == [0.0, 5.0, 10.0]
    task.cancel()


async def test_a_hint_during_a_step_is_not_lost() -> None:
    clock, wake = FakeClock(), Wake()
    times: list[float] = []

    async def step() -> None:
        times.append(clock.monotonic())
        if len(times) == 1:
            wake.hint()

    await run_for(clock, 5, step, period_seconds=1000.0, wake=wake)
    assert times == [0.0, 0.0]


async def test_the_gap_keeps_hinted_steps_apart() -> None:
    steps, wake = Steps(FakeClock()), Wake()

    async def step() -> None:
        wake.hint()
        await steps()

    await run_for(steps.clock, 10.5, step, period_seconds=100.0, wake=wake, gap_seconds=1.0)
    assert len(steps.times) == 11


async def test_a_loop_that_hangs_is_unhealthy_after_three_periods() -> None:
    clock = FakeClock()
    health = LoopHealth(clock)
    running = asyncio.Event()

    async def step() -> None:
        if clock.monotonic() >= 50:
            await running.wait()

    task = asyncio.create_task(
        supervise("slow", step, period_seconds=10.0, clock=clock, health=health)
    )
    await clock.advance(65)
    assert health.unhealthy() == []
    await clock.advance(40)
    assert health.unhealthy() == ["slow"]
    running.set()
    await clock.advance(1)
    assert health.unhealthy() == []
    task.cancel()


async def test_a_loop_in_back_off_is_healthy_and_tells_its_fault() -> None:
    steps = Steps(FakeClock())
    steps.error = StoreUnavailable()
    health = LoopHealth(steps.clock)
    await run_for(steps.clock, 200, steps, period_seconds=1.0, health=health)
    (state,) = health.states()
    assert (health.unhealthy(), state.fault_code) == ([], "store.unavailable")
    assert state.failures > 3


async def test_cancelling_a_sleep_keeps_the_hint() -> None:
    clock, wake = FakeClock(), Wake()
    task = asyncio.create_task(sleep_or_hint(clock, 10, wake))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wake.hint()
    assert await sleep_or_hint(clock, 10, wake)


async def test_a_swallowed_cancellation_still_ends_the_loop() -> None:
    clock, begun = FakeClock(), asyncio.Event()

    async def swallow() -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    task = asyncio.create_task(supervise("deaf", swallow, period_seconds=1.0, clock=clock))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
