"""Waiting for something to become true, with a deadline: the only way a test may wait."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

POLL_SECONDS: Final = 0.05
# Says nothing of how soon it has to be: that is measured by the benches, beside the raw thing.
PATIENCE_SECONDS: Final = 90.0

T = TypeVar("T")


class NotInTime(AssertionError):
    """What was waited for did not happen; the message says what was seen last."""


def until(find: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of `find()`. Faults of the world (OSError) count as "not yet"."""
    started = time.monotonic()
    last: object = None
    while True:
        try:
            last = value = find()
            if value:
                return value
        except OSError as error:
            last = error
        if time.monotonic() - started > seconds:
            raise NotInTime(f"{what}: not within {seconds:g} s; seen last: {last!r:.2000}")
        time.sleep(POLL_SECONDS)
