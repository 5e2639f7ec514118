"""Events survive their encoding, and show what the public API shows."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from backendai.common.events import (
    EventName,
    LifecycleEvent,
    decode_event,
    encode_event,
    sse_data,
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
    assert decode_event(encode_event(event)) == event


def test_an_event_of_a_session_shows_no_kernel() -> None:
    assert sse_data(make_event(EventName.SESSION_SUCCESS)) == {
        "reason": "task-done",
        "sessionName": "work",
        "ownerAccessKey": "AK",
        "sessionId": str(SESSION),
        "exitCode": 0,
    }


def test_an_event_of_a_kernel_shows_it() -> None:
    data = sse_data(make_event(EventName.KERNEL_STARTED, KERNEL))
    assert (data["kernelId"], data["clusterRole"], data["clusterIdx"]) == (str(KERNEL), "main", 1)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xc1", msgspec.msgpack.encode({"name": "other"})])
def test_what_is_no_event_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_event(data)
