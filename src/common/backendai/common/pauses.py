"""When what failed is tried again: the longer it fails, the more seldom. PURE.

It takes two times, which may be kept anywhere: nothing is counted that a restart would forget.
"""

from dataclasses import dataclass


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
