"""What administrators ask of alerts: which there are, and whether they would hear of one."""

from collections.abc import Mapping
from typing import Final

from backendai.common.clock import Clock
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action

from . import store
from .model import Alert, AlertKind, Change, Key, Message
from .post import Targets

SEE: Final = Action("alert.read", Access.SUPERADMIN)
TEST: Final = Action("alert.test", Access.SUPERADMIN, writes=True)
_TEST_ID: Final = 0


class Alerts:
    def __init__(self, database: Database, targets: Targets, clock: Clock) -> None:
        self._database = database
        self._targets = targets
        self._clock = clock

    async def list(self, *, with_ended: bool, limit: int) -> "list[Alert]":
        """Newest first."""
        return await self._database.read(
            lambda conn: store.list_alerts(conn, with_ended=with_ended, limit=limit)
        )

    async def test(self) -> Mapping[str, str]:
        """Tell every target something, now. Target -> why that failed, empty when it did not."""
        key = Key(AlertKind.AGENT_LOST, "nothing")
        alert = Alert(
            _TEST_ID, key, "An administrator tries whether alerts arrive", self._clock.now()
        )
        return await self._targets.try_all(
            [Message(alert, Change.TEST, name) for name in self._targets.names]
        )
