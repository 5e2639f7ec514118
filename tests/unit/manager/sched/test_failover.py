"""How soon another manager plans after the one that did was killed."""

from backendai.common.loops import JITTER
from backendai.manager.lifecycle.core import Periods
from backendai.manager.sched.loop import LEASE_SECONDS


def test_a_killed_planner_is_replaced_within_five_seconds() -> None:
    """At worst its lease was just renewed, and the other one has just looked."""
    period = Periods().plan * (1 + JITTER)
    assert LEASE_SECONDS + period <= 5.0
    # Who looks only each period still has its lease when it looks again.
    assert period < LEASE_SECONDS
