"""Pauses grow with the time for which something fails, whatever restarts meanwhile."""

from itertools import pairwise

from backendai.common.clock import FakeClock
from backendai.common.pauses import FailingThings, GrowingPause

PAUSE = GrowingPause(share=1.0, seconds_min=3.0, seconds_max=600.0)


def tries_of(pause: GrowingPause, seconds: int, step: int) -> list[int]:
    tried = [0]
    for now in range(step, seconds, step):
        if pause.is_over(now, now - tried[-1]):
            tried.append(now)
    return tried


def test_what_always_fails_is_tried_ever_more_seldom() -> None:
    waits = [after - before for before, after in pairwise(tries_of(PAUSE, 4000, 1))]
    assert waits[:5] == [3, 3, 6, 12, 24]
    assert waits == sorted(waits)
    assert waits[-1] == 600


def test_a_share_below_one_grows_slower() -> None:
    slower = GrowingPause(share=0.25, seconds_min=3.0, seconds_max=600.0)
    assert len(tries_of(slower, 4000, 1)) > len(tries_of(PAUSE, 4000, 1))


def test_looks_that_come_late_are_taken_as_they_are() -> None:
    assert PAUSE.is_over(10_000.0, 5_000.0)
    assert not PAUSE.is_over(10_000.0, 599.0)
    assert not PAUSE.is_over(2.0, 2.0)


async def test_what_fails_is_remembered_until_it_goes_well_or_is_gone() -> None:
    clock = FakeClock()
    failing = FailingThings[str](PAUSE, clock)
    assert failing.is_due("a")
    failing.note("a")
    assert not failing.is_due("a")
    assert failing.is_due("b")
    await clock.advance(3.0)
    assert failing.is_due("a")
    await clock.advance(97.0)
    failing.note("a")
    await clock.advance(99.0)
    assert not failing.is_due("a")
    failing.forget("a")
    assert failing.is_due("a")
    failing.note("a")
    await clock.advance(2 * PAUSE.seconds_max)
    failing.note("b")
    failing.note("a")
    await clock.advance(3.0)
    assert failing.is_due("a")
