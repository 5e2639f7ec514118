"""What happened to sessions and kernels, as the outbox keeps it and streams carry it.

The names and the data of a server-sent event are the public API's.
"""

import enum
from datetime import datetime

import msgspec

from .ids import KernelId, SessionId


class EventName(enum.StrEnum):
    SESSION_ENQUEUED = "session_enqueued"
    SESSION_SCHEDULED = "session_scheduled"
    SESSION_STARTED = "session_started"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_TERMINATING = "session_terminating"
    SESSION_TERMINATED = "session_terminated"
    SESSION_SUCCESS = "session_success"
    SESSION_FAILURE = "session_failure"
    SESSION_IDLE_WARNING = "session_idle_warning"
    KERNEL_PREPARING = "kernel_preparing"
    KERNEL_PULLING = "kernel_pulling"
    KERNEL_CREATING = "kernel_creating"
    KERNEL_STARTED = "kernel_started"
    KERNEL_CANCELLED = "kernel_cancelled"
    KERNEL_TERMINATING = "kernel_terminating"
    KERNEL_TERMINATED = "kernel_terminated"

    @property
    def is_of_kernel(self) -> bool:
        return self.value.startswith("kernel_")


class LifecycleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One move. `sequence` counts the events of one session, from 1, without gaps."""

    name: EventName
    session_id: SessionId
    session_name: str
    owner_access_key: str
    sequence: int
    at: datetime
    reason: str = ""
    exit_code: int | None = None
    kernel_id: KernelId | None = None
    cluster_role: str | None = None
    cluster_idx: int | None = None


_encoder = msgspec.msgpack.Encoder()


def encode_event(event: LifecycleEvent) -> bytes:
    return _encoder.encode(event)
