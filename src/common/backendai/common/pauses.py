"""When what failed is tried again: the longer it fails, the more seldom.

The rule takes two times, which may be kept anywhere: a restart need not forget them.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .clock import Clock

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class GrowingPause:
    """A pause is the `share` of the time for which it has failed by the last try, between
    `seconds_min` and `seconds_max`."""

    share: float
    seconds_min: float
    seconds_max: float

    def is_over(self, failing_seconds: float, idle_seconds: float) -> bool:
        """`failing_seconds` ago it was wanted first, `idle_seconds` ago it was tried last."""
        failed_before = failing_seconds - idle_seconds
        pause = max(self.seconds_min, min(self.share * failed_before, self.seconds_max))
        return idle_seconds >= pause


@dataclass(frozen=True, slots=True)
class _Failing:
    """By the monotonic clock."""

    since: float
    tried_at: float


class FailingThings(Generic[K]):
    """What fails again and again, remembered by one process: after a restart all is tried anew."""

    def __init__(self, pause: GrowingPause, clock: Clock) -> None:
        self._pause = pause
        self._clock = clock
        self._known: dict[K, _Failing] = {}

    def is_due(self, thing: K) -> bool:
        """Also of what is not known to fail."""
        known, now = self._known.get(thing), self._clock.monotonic()
        return known is None or self._pause.is_over(now - known.since, now - known.tried_at)

    def note(self, thing: K) -> None:
        """It failed once more. What has not been tried for long is forgotten: it may be gone."""
        now = self._clock.monotonic()
        self._known = {
            each: failing
            for each, failing in self._known.items()
            if now - failing.tried_at < 2 * self._pause.seconds_max
        }
        known = self._known.get(thing)
        self._known[thing] = _Failing(known.since if known else now, now)

    def forget(self, thing: K) -> None:
        """It went well."""
        self._known.pop(thing, None)
