"""The relay of outbox rows to streams, where other daemons take them as hints.

Rows are published first and marked after, so each is published at least once; who needs all of
them, in order, reads the table.
"""

import uuid
from collections.abc import Sequence
from typing import Final, Protocol

from backendai.common.clock import Clock
from backendai.common.events import EventName, LifecycleEvent, encode_event
from backendai.common.failpoints import failpoint
from backendai.common.ids import KernelId, SessionId
from backendai.common.logs import get_logger
from backendai.common.loops import Wake

from .lease import Lease
from .store import CoreStore, OutboxRow

log = get_logger(__name__)

TOPIC: Final = "lifecycle"
BATCH: Final = 500
LEASE_NAME: Final = "outbox"
LEASE_SECONDS: Final = 10.0
GATHER_SECONDS: Final = 0.05


class Publisher(Protocol):
    """What the relay needs of `streams.Hints`."""

    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None: ...


class Relay:
    """Relays until nothing is left, then waits for the next hint."""

    def __init__(
        self, store: CoreStore, publisher: Publisher, clock: Clock, holder: str, wake: Wake
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._lease = Lease(store, clock, LEASE_NAME, holder, LEASE_SECONDS)
        self._wake = wake

    async def step(self) -> None:
        """Raises StoreUnavailable when a store is away; the rows stay and are relayed later."""
        if not await self._lease.is_held():
            return
        # What follows soon goes with it, and what makes the events is not held up by telling them.
        await self._clock.sleep(GATHER_SECONDS)
        rows = await self._store.load_outbox(BATCH)
        if not rows:
            await self._lease.keep()
            return
        await self._publisher.publish(TOPIC, [encode_event(event_of(row)) for row in rows])
        await failpoint("manager.outbox.before_mark")
        await self._store.mark_relayed([row.id for row in rows])
        if len(rows) == BATCH:
            self._wake.hint()


def event_of(row: OutboxRow) -> LifecycleEvent:
    """The event that a row tells of; its sequence is the row's id, which grows in each session."""
    data = row.payload
    kernel_id = data.get("kernelId")
    return LifecycleEvent(
        name=EventName(row.name),
        session_id=_session_id(row),
        session_name=data["sessionName"],
        owner_access_key=data["ownerAccessKey"],
        sequence=row.id,
        at=row.created_at,
        reason=data["reason"],
        exit_code=data["exitCode"],
        kernel_id=None if kernel_id is None else KernelId(uuid.UUID(kernel_id)),
        cluster_role=data.get("clusterRole"),
        cluster_idx=data.get("clusterIdx"),
    )


def _session_id(row: OutboxRow) -> SessionId:
    return row.session_id or SessionId(uuid.UUID(row.payload["sessionId"]))
