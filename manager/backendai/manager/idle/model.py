"""What idle checkers know of a session and find about it, as values."""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from backendai.common.enums import Reason, SessionType

WARNING_SECONDS: Final = (1800.0, 300.0)
NOTICE_SECONDS_MAX: Final = 300.0
# A hundred years; what is longer is no limit, and no date can be reckoned with it.
LIMIT_SECONDS_MAX: Final = 100 * 366 * 86400


class Checker(enum.StrEnum):
    """The words of the public API."""

    NETWORK = "network_timeout"
    LIFETIME = "session_lifetime"
    UTILIZATION = "utilization"


REASONS: Final[Mapping[Checker, Reason]] = {
    Checker.LIFETIME: Reason.IDLE_SESSION_LIFETIME,
    Checker.NETWORK: Reason.IDLE_TIMEOUT,
    Checker.UTILIZATION: Reason.IDLE_UTILIZATION,
}


class TimeType(enum.StrEnum):
    """What the remaining time of a check runs to."""

    GRACE_PERIOD = "grace_period"
    EXPIRE_AFTER = "expire_after"


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was measured in one part of the window: resource -> (how often, sum of percents)."""

    number: int
    sums: Mapping[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Utilization:
    """How busy a session was, in parts of `width_seconds` that are numbered from the epoch.

    `begun_at` is when its time of grace began anew, where it did. `cpu` is the last reading of the
    CPU time: when, and how many milliseconds.
    """

    width_seconds: float = 0.0
    begun_at: datetime | None = None
    cpu: tuple[datetime, float] | None = None
    sampled_at: datetime | None = None
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all containers of a session. `levels` are percents of what they hold."""

    at: datetime
    cpu_milliseconds: float
    cores: float
    levels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Warned:
    """That a session was warned first `at`, and last when `stage_seconds` were left."""

    at: datetime
    stage_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A running session as the checkers need it.

    `started_at` is when it first ran, `settled_at` when it last began to. `accelerators` are the
    families of its accelerators, such as `cuda`; `sample` is None where its use is not known now.
    """

    session_id: uuid.UUID
    name: str
    access_key: str
    type: SessionType
    started_at: datetime
    settled_at: datetime
    active_at: datetime | None = None
    active_by: str = ""
    idle_timeout: int = 0
    max_session_lifetime: int = 0
    accelerators: frozenset[str] = frozenset()
    sample: Sample | None = None
    utilization: Utilization = field(default_factory=Utilization)
    warned: Mapping[Checker, Warned] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one checker finds: when it would end the session, None while it would not.

    `slack_seconds` pass after `due_at` before anything happens, since news may be on its way.
    """

    checker: Checker
    limit_seconds: float
    due_at: datetime | None
    time_type: TimeType = TimeType.EXPIRE_AFTER
    slack_seconds: float = 0.0
    detail: str = ""
    extra: Mapping[str, Any] | None = None

    @property
    def stages(self) -> tuple[float, ...]:
        """With how many seconds left there is a warning."""
        return tuple(s for s in WARNING_SECONDS if s < self.limit_seconds) or (self.notice_seconds,)

    @property
    def notice_seconds(self) -> float:
        """How long before the end the first warning is given at the least."""
        return min(NOTICE_SECONDS_MAX, self.limit_seconds / 2)

    @property
    def settled_at(self) -> datetime | None:
        """From when on `due_at` cannot move any more by what happened before."""
        return None if self.due_at is None else self.due_at + timedelta(seconds=self.slack_seconds)

    def ends_at(self, warned: Warned | None) -> datetime | None:
        """When it ends the session, which has been `warned`; None: not as it is now."""
        if self.due_at is None or warned is None:
            return self.due_at
        return max(self.due_at, warned.at + timedelta(seconds=self.notice_seconds))


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning to the owner of a session that it will be ended."""

    check: Check
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """`end` is the check that ends the session now; `warned` is what it has been told by then."""

    checks: tuple[Check, ...]
    warned: Mapping[Checker, Warned]
    warnings: tuple[Notice, ...] = ()
    end: Check | None = None
