"""Loops that find what no event tells: deadlines passed, nodes fallen silent, sums that drift."""

from datetime import timedelta
from typing import Final

from backendai.common.clock import Clock
from backendai.common.faults import Stale
from backendai.common.ids import SessionId
from backendai.common.logs import get_logger
from backendai.manager.agents.health import flaps_after, judge
from backendai.manager.agents.model import Patience

from .decide import KernelCase, overdue_moves
from .model import Move
from .store import CoreStore, DriftRow

log = get_logger(__name__)

RETENTION: Final = timedelta(days=7)


class Reaper:
    """Periodic looks at the level; each step is a transaction or a few."""

    def __init__(self, store: CoreStore, clock: Clock, patience: Patience) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._started_at = clock.monotonic()
        self.drift: tuple[DriftRow, ...] = ()

    async def end_overdue(self) -> None:
        """Move every kernel whose deadline has passed."""
        cases = await self._store.load_overdue(self._clock.now())
        session_of = {case.row.id: case.row.session_id for case in cases}
        by_session: dict[SessionId, list[Move]] = {}
        for move in overdue_moves(cases, self._clock.now()):
            by_session.setdefault(session_of[move.kernel_id], []).append(move)
        for session_id, moves in by_session.items():
            await self._move(session_id, moves, cases)

    async def _move(
        self, session_id: SessionId, moves: list[Move], cases: list[KernelCase]
    ) -> None:
        try:
            await self._store.move(moves, self._clock.now())
        except Stale as stale:
            log.debug("kernel.move_stale", session=str(session_id), detail=stale.detail)
            return
        log.warning(
            "kernel.overdue",
            session=str(session_id),
            events=sorted({move.event.value for move in moves}),
        )

    async def judge_agents(self) -> None:
        """Give each node the status it deserves, once this manager has listened for long enough."""
        listened = self._clock.monotonic() - self._started_at
        if listened < self._patience.suspect_after_seconds:
            return
        for row in await self._store.list_agents():
            status = judge(row, self._patience)
            if status is row.status:
                continue
            flaps = flaps_after(row, status)
            if await self._store.set_agent_status(row, status, flaps):
                log.warning(
                    "agent.status",
                    agent=row.id,
                    before=row.status.value,
                    after=status.value,
                    silent_seconds=round(row.silent_seconds, 1),
                    flaps=flaps,
                )

    async def check_drift(self) -> None:
        """Compare allocations with kernels; any difference is an alarm."""
        self.drift = tuple(await self._store.load_drift())
        for row in self.drift:
            log.error(
                "slots.drift",
                kernel=str(row.kernel_id),
                agent=row.agent_id,
                slot=row.slot,
                due=row.due,
                held=row.held,
            )

    async def prune(self) -> None:
        """Delete what has been kept long enough."""
        count = await self._store.prune(self._clock.now() - RETENTION)
        if count:
            log.info("store.pruned", rows=count)
