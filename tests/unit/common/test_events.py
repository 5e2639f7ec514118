"""Events survive their encoding."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from backendai.common.events import (
    EventName,
    LifecycleEvent,
    encode_event,
)
from backendai.common.ids import KernelId, SessionId

SESSION, KERNEL = SessionId(uuid.UUID(int=1)), KernelId(uuid.UUID(int=2))


def make_event(name: EventName, kernel_id: KernelId | None = None) -> LifecycleEvent:
    return LifecycleEvent(
        name=name,
        session_id=SESSION,
        session_name="work",
        owner_access_key="AK",
        sequence=3,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        reason="task-done",
        exit_code=0,
        kernel_id=kernel_id,
        cluster_role="main" if kernel_id else None,
        cluster_idx=1 if kernel_id else None,
    )


@pytest.mark.parametrize("name", EventName)
def test_an_event_survives_its_encoding(name: EventName) -> None:
    event = make_event(name, KERNEL if name.is_of_kernel else None)
    assert msgspec.msgpack.decode(encode_event(event), type=LifecycleEvent) == event
