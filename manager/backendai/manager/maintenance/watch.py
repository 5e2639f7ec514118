"""What this manager knows of the cluster's status: read anew at each hint, and each second."""

from typing import Final

from backendai.common.clock import Clock
from backendai.common.faults import ServerFrozen
from backendai.common.loops import LoopHealth, supervise
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.hints import HintBoard

from .model import ClusterStatus
from .store import load_status

HINT_STATUS: Final = "cluster-status"
LOOK_SECONDS: Final = 0.7


class StatusWatch:
    """Asked by every request that begins something, and so without a question to the database.

    The scheduler trusts only the row itself: what slips through here waits in the queue. While the
    database is away, the last known status counts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.status = ClusterStatus.RUNNING

    async def look(self) -> None:
        """Raises StoreUnavailable."""
        self.status = await self._database.read(load_status)

    async def follow(self, board: HintBoard, clock: Clock, health: LoopHealth) -> None:
        """Until cancelled."""
        with board.watch(HINT_STATUS) as wake:
            await supervise(
                "status",
                self.look,
                period_seconds=LOOK_SECONDS,
                clock=clock,
                wake=wake,
                health=health,
            )

    def refuse_frozen(self) -> None:
        """Raises ServerFrozen while the cluster is frozen."""
        if self.status is ClusterStatus.FROZEN:
            raise ServerFrozen
