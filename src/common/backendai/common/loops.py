"""Supervised loops: periodic work that outlives its own faults and shows when it stands still.

A step's Fault becomes a log line and a back-off. Any other exception leaves `supervise` and ends
the daemon, whose supervisor restarts it: half dead is worse than dead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from .clock import Clock
from .faults import Fault
from .logs import get_logger

log = get_logger(__name__)

JITTER: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 30.0
PERIODS_UNTIL_UNHEALTHY: Final = 3


class Wake:
    """A hint that there may be work. Many hints before the next step count as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def hint(self) -> None:
        self._event.set()

    def is_hinted(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Until the next hint, which it takes."""
        await self._event.wait()
        self._event.clear()


@dataclass(frozen=True, slots=True)
class LoopState:
    """How a loop is doing; times are the clock's monotonic seconds."""

    name: str
    period_seconds: float
    ticked_at: float
    delay_seconds: float
    failures: int = 0
    fault_code: str = ""

    def is_healthy(self, at: float) -> bool:
        longest = max(self.period_seconds, self.delay_seconds) * PERIODS_UNTIL_UNHEALTHY
        return at - self.ticked_at <= longest


class LoopHealth:
    """The states of a daemon's loops."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, LoopState] = {}
        self._note_step: Callable[[str, float], None] = lambda _name, _seconds: None

    def tell_steps(self, note: Callable[[str, float], None]) -> None:
        """Call `note` with the name of a loop and the seconds of each step that it ends."""
        self._note_step = note

    def start(self, name: str, period_seconds: float) -> None:
        at = self._clock.monotonic()
        self._states[name] = LoopState(name, period_seconds, at, period_seconds)

    def tick(
        self,
        name: str,
        delay_seconds: float,
        failures: int = 0,
        code: str = "",
        *,
        took_seconds: float = 0.0,
    ) -> None:
        """One step of `name` is over, which took so long; the next is due in `delay_seconds`."""
        known = self._states[name]
        self._states[name] = replace(
            known,
            ticked_at=self._clock.monotonic(),
            delay_seconds=delay_seconds,
            failures=failures,
            fault_code=code,
        )
        self._note_step(name, took_seconds)

    def states(self) -> list[LoopState]:
        return sorted(self._states.values(), key=lambda state: state.name)

    def unhealthy(self) -> list[str]:
        """The names of the loops that have not ticked for three periods."""
        at = self._clock.monotonic()
        return [state.name for state in self.states() if not state.is_healthy(at)]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a loop runs: each period, at hints not closer than the gap, later after faults."""

    period_seconds: float
    gap_seconds: float = 0.0
    backoff_seconds_max: float = BACKOFF_SECONDS_MAX

    def delay_after(self, failures: int, jitter: random.Random) -> float:
        """Seconds until the next step after `failures` faults in a row."""
        if not failures:
            return self.period_seconds * jitter.uniform(1 - JITTER, 1 + JITTER)
        first = min(self.period_seconds, 1.0)
        ceiling = max(self.backoff_seconds_max, self.period_seconds)
        doubled = min(first * 2.0 ** min(failures - 1, 16), ceiling)
        return doubled * jitter.uniform(0.5, 1.0)


async def supervise(
    name: str,
    step: Callable[[], Awaitable[object]],
    *,
    period_seconds: float,
    clock: Clock,
    wake: Wake | None = None,
    health: LoopHealth | None = None,
    gap_seconds: float = 0.0,
    backoff_seconds_max: float = BACKOFF_SECONDS_MAX,
    seed: int = 0,
) -> None:
    """Run `step` now, then each period or at a hint of `wake`, until cancelled.

    After a Fault hints do not shorten the back-off, so a broken store causes no hot loop. Where
    somebody counts on the step soon after the fault is gone, `backoff_seconds_max` is short.
    """
    pace = Pace(period_seconds, gap_seconds, backoff_seconds_max)
    jitter = random.Random(f"{name}:{seed}")  # noqa: S311 - spreads load, guards nothing
    failures = 0
    if health is not None:
        health.start(name, period_seconds)
    while True:
        began_at = clock.monotonic()
        fault = await _run_step(name, step, failures)
        took = clock.monotonic() - began_at
        _end_where_told()
        failures = failures + 1 if fault is not None else 0
        delay = pace.delay_after(failures, jitter)
        if health is not None:
            code = fault.code if fault else ""
            health.tick(name, delay, failures, code, took_seconds=took)
        if wake is None or failures:
            await clock.sleep(delay)
        else:
            await clock.sleep(min(gap_seconds, delay))
            await sleep_or_hint(clock, delay - min(gap_seconds, delay), wake)


def _end_where_told() -> None:
    """Raise again a cancellation that a library below the step has swallowed."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _run_step(
    name: str, step: Callable[[], Awaitable[object]], failures: int
) -> Fault | None:
    try:
        await step()
    except Fault as fault:
        log.warning(
            "loop.step_failed",
            loop=name,
            code=fault.code,
            detail=fault.detail,
            failures=failures + 1,
            cause=repr(fault.__cause__),
        )
        return fault
    if failures:
        log.info("loop.recovered", loop=name, failures=failures)
    return None


async def sleep_or_hint(clock: Clock, seconds: float, wake: Wake) -> bool:
    """Sleep at most `seconds`; True when a hint ended it."""
    if wake.is_hinted():
        await wake.wait()
        return True
    sleeper = asyncio.create_task(clock.sleep(seconds), name="loop.sleep")
    waiter = asyncio.create_task(wake.wait(), name="loop.hint")
    try:
        await asyncio.wait((sleeper, waiter), return_when=asyncio.FIRST_COMPLETED)
        return waiter.done()
    finally:
        sleeper.cancel()
        waiter.cancel()
