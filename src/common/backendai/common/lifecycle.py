"""The lifecycle of kernels as data: `(status, event) -> status`, deadlines, and derived facts.

A session's status is a total function of its kernels' statuses (`session_status`). Everything else
about states (which are final, which hold resources) is derived from the table, never listed twice.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class KernelStatus(enum.StrEnum):
    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PULLING = "PULLING"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    RESTARTING = "RESTARTING"
    TERMINATING = "TERMINATING"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    CANCELLED = "CANCELLED"


class SessionStatus(enum.StrEnum):
    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PULLING = "PULLING"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    RUNNING_DEGRADED = "RUNNING_DEGRADED"
    RESTARTING = "RESTARTING"
    TERMINATING = "TERMINATING"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    CANCELLED = "CANCELLED"


class KernelEvent(enum.StrEnum):
    """What can happen to a kernel. `GONE`, `EXITED` and `FAILED` carry the agent's proof that
    nothing of this generation runs any more, `FENCED` an operator's word; the others do not."""

    PLACE = "place"  # the planner found a node
    PULL = "pull"  # the agent is fetching the image
    PREPARE = "prepare"  # the agent is making the container
    START = "start"  # the runner inside answers
    FAILED = "failed"  # the agent could not start it, and removed what it had made
    REQUEUE = "requeue"  # as FAILED, but another node shall try
    RESTART = "restart"  # the user wants a fresh container
    TERMINATE = "terminate"  # somebody ordered the end
    EXITED = "exited"  # the container ended by itself
    GONE = "gone"  # the agent removed it on our order
    STUCK = "stuck"  # it did not end in time; its resources stay taken
    FENCED = "fenced"  # an operator vouches that its node is dead


S = KernelStatus
E = KernelEvent

TABLE: Final[Mapping[tuple[KernelStatus, KernelEvent], KernelStatus]] = MappingProxyType(
    {
        (S.PENDING, E.PLACE): S.SCHEDULED,
        (S.PENDING, E.TERMINATE): S.CANCELLED,
        (S.SCHEDULED, E.PULL): S.PULLING,
        (S.SCHEDULED, E.PREPARE): S.PREPARING,
        (S.SCHEDULED, E.START): S.RUNNING,
        (S.SCHEDULED, E.FAILED): S.CANCELLED,
        (S.SCHEDULED, E.REQUEUE): S.PENDING,
        (S.SCHEDULED, E.EXITED): S.TERMINATED,
        (S.SCHEDULED, E.TERMINATE): S.TERMINATING,
        (S.SCHEDULED, E.FENCED): S.TERMINATED,
        (S.PULLING, E.PREPARE): S.PREPARING,
        (S.PULLING, E.START): S.RUNNING,
        (S.PULLING, E.FAILED): S.CANCELLED,
        (S.PULLING, E.REQUEUE): S.PENDING,
        (S.PULLING, E.EXITED): S.TERMINATED,
        (S.PULLING, E.TERMINATE): S.TERMINATING,
        (S.PULLING, E.FENCED): S.TERMINATED,
        (S.PREPARING, E.START): S.RUNNING,
        (S.PREPARING, E.FAILED): S.CANCELLED,
        (S.PREPARING, E.REQUEUE): S.PENDING,
        (S.PREPARING, E.EXITED): S.TERMINATED,
        (S.PREPARING, E.TERMINATE): S.TERMINATING,
        (S.PREPARING, E.FENCED): S.TERMINATED,
        (S.RUNNING, E.EXITED): S.TERMINATED,
        (S.RUNNING, E.RESTART): S.RESTARTING,
        (S.RUNNING, E.TERMINATE): S.TERMINATING,
        (S.RUNNING, E.FENCED): S.TERMINATED,
        (S.RESTARTING, E.START): S.RUNNING,
        (S.RESTARTING, E.FAILED): S.TERMINATED,
        (S.RESTARTING, E.EXITED): S.TERMINATED,
        (S.RESTARTING, E.TERMINATE): S.TERMINATING,
        (S.RESTARTING, E.FENCED): S.TERMINATED,
        (S.TERMINATING, E.GONE): S.TERMINATED,
        (S.TERMINATING, E.STUCK): S.ERROR,
        (S.TERMINATING, E.FENCED): S.TERMINATED,
        (S.ERROR, E.GONE): S.TERMINATED,
        (S.ERROR, E.TERMINATE): S.TERMINATING,
        (S.ERROR, E.FENCED): S.TERMINATED,
    }
)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The longest stay in a status, and the event for exceeding it.

    `seconds` None means that no limit applies: a container may run for months, a session may
    wait in the queue (with a reason shown), and a quarantined kernel waits for its node.
    """

    seconds: float | None
    event: KernelEvent | None = None


DEADLINES: Final[Mapping[KernelStatus, Deadline]] = MappingProxyType(
    {
        S.PENDING: Deadline(None),
        S.SCHEDULED: Deadline(60.0, E.TERMINATE),
        S.PULLING: Deadline(3600.0, E.TERMINATE),
        S.PREPARING: Deadline(120.0, E.TERMINATE),
        S.RUNNING: Deadline(None),
        S.RESTARTING: Deadline(120.0, E.TERMINATE),
        S.TERMINATING: Deadline(120.0, E.STUCK),
        S.ERROR: Deadline(None),
    }
)

FINAL: Final[frozenset[KernelStatus]] = frozenset(S) - {status for status, _ in TABLE}
LIVE: Final[frozenset[KernelStatus]] = frozenset(S) - FINAL
# A kernel holds its allocation exactly in these: placed, and not yet proved to be gone.
HOLDING: Final[frozenset[KernelStatus]] = LIVE - {S.PENDING}
STARTING: Final[frozenset[KernelStatus]] = frozenset({S.SCHEDULED, S.PULLING, S.PREPARING})

SESSION_FINAL: Final[frozenset[SessionStatus]] = frozenset(
    SessionStatus(status.value) for status in FINAL
)
SESSION_LIVE: Final[frozenset[SessionStatus]] = frozenset(SessionStatus) - SESSION_FINAL

# How far a starting session has come is how far its slowest kernel has come.
_PROGRESS: Final = (
    S.PENDING,
    S.SCHEDULED,
    S.PULLING,
    S.PREPARING,
    S.RESTARTING,
    S.RUNNING,
)


class IllegalMove(Exception):
    """The table has no such move."""

    def __init__(self, status: KernelStatus, event: KernelEvent) -> None:
        super().__init__(f"a kernel in {status} takes no {event}")
        self.status = status
        self.event = event


def next_status(status: KernelStatus, event: KernelEvent) -> KernelStatus:
    """The status after `event`. Raises IllegalMove when the table has no such pair."""
    try:
        return TABLE[status, event]
    except KeyError:
        raise IllegalMove(status, event) from None


def accepts(status: KernelStatus, event: KernelEvent) -> bool:
    return (status, event) in TABLE


def sources(event: KernelEvent) -> frozenset[KernelStatus]:
    """The statuses in which `event` may happen."""
    return frozenset(status for status, known in TABLE if known == event)


def session_status(kernels: Sequence[KernelStatus]) -> SessionStatus:
    """The status of a session from the statuses of its kernels, main kernel first.

    Total over every non-empty sequence; an empty one is a ValueError, since every session has a
    main kernel.
    """
    if not kernels:
        raise ValueError("a session has at least one kernel")
    live = [status for status in kernels if status in LIVE]
    if not live:
        return _ended(kernels)
    if S.TERMINATING in live:
        return SessionStatus.TERMINATING
    if S.ERROR in live:
        return SessionStatus.ERROR
    if kernels[0] in FINAL:
        # The main kernel is what a user talks to: without it the others are being ended.
        return SessionStatus.TERMINATING
    if len(live) < len(kernels):
        return _degraded(live)
    return SessionStatus(min(live, key=_PROGRESS.index).value)


def _ended(kernels: Iterable[KernelStatus]) -> SessionStatus:
    if all(status is S.CANCELLED for status in kernels):
        return SessionStatus.CANCELLED
    return SessionStatus.TERMINATED


def _degraded(live: Sequence[KernelStatus]) -> SessionStatus:
    if all(status is S.RUNNING for status in live):
        return SessionStatus.RUNNING_DEGRADED
    return SessionStatus(min(live, key=_PROGRESS.index).value)
