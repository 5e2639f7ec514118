"""Who uses a session counts for it: noted in memory at once, and written once a minute at most."""

import uuid
from datetime import datetime

from backendai.common.clock import Clock
from backendai.manager.db.engine import Database

from . import store
from .decide import NOTED_EVERY_SECONDS


class Activities:
    """What users of this manager did with sessions lately."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._latest: dict[uuid.UUID, tuple[datetime, str]] = {}
        self._saved_at: dict[uuid.UUID, float] = {}

    def note(self, session_id: uuid.UUID, what: str) -> None:
        """Somebody uses the session; `what` is one word, such as execute. Costs nothing."""
        self._latest[session_id] = (self._clock.now(), what)

    async def save(self) -> None:
        """Write what was noted of sessions that were not written within the last minute."""
        now = self._clock.monotonic()
        self._saved_at = {
            key: at for key, at in self._saved_at.items() if now - at < NOTED_EVERY_SECONDS
        }
        due = {key: one for key, one in self._latest.items() if key not in self._saved_at}
        if not due:
            return
        await self._database.put(lambda conn: store.note_activity(conn, due))
        for key, one in due.items():
            self._saved_at[key] = now
            if self._latest.get(key) == one:
                del self._latest[key]
