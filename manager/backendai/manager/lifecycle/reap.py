"""Loops that find what no event tells: deadlines passed, nodes fallen silent, sums that drift."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from backendai.common.clock import Clock
from backendai.common.contracts.agent import AgentReport, KernelReport
from backendai.common.faults import Stale
from backendai.common.ids import AgentId, SessionId
from backendai.common.lifecycle import HOLDING
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

    def __init__(
        self,
        store: CoreStore,
        clock: Clock,
        patience: Patience,
        reports: Callable[[], Mapping[AgentId, AgentReport]] = dict,
    ) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._reports = reports
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
        """Compare allocations with kernels, and those with the nodes; a difference is an alarm."""
        self.drift = tuple(await load_drift(self._store, self._reports()))
        for row in self.drift:
            log.error(
                "drift.found",
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


async def load_drift(store: CoreStore, reports: Mapping[AgentId, AgentReport]) -> list[DriftRow]:
    """Between allocations and kernels, and between these and what nodes reported."""
    found = await store.load_drift()
    for agent_id, report in reports.items():
        named = [one.kernel_id for one in report.kernels if one.slots]
        cases = await store.load_cases(agent_id, named)
        found += compare_slots(agent_id, cases, report.kernels)
    return found


def compare_slots(
    agent_id: AgentId, cases: Sequence[KernelCase], reports: Sequence[KernelReport]
) -> list[DriftRow]:
    """PURE: where a node gave a kernel other amounts than it holds. `held` is the node's word.

    What only one side knows is no drift: it is on its way, or an orphan, which observers list.
    """
    given = {(one.kernel_id, one.generation): one.slots for one in reports if one.slots}
    found = []
    for row in (case.row for case in cases):
        held = given.get((str(row.id), row.generation))
        if held is None or row.agent_id != agent_id or row.status not in HOLDING:
            continue
        found += [
            DriftRow(row.id, agent_id, slot, row.requested_slots.get(slot), held.get(slot))
            for slot in sorted({*row.requested_slots, *held})
            if Decimal(row.requested_slots.get(slot, 0)) != Decimal(held.get(slot, 0))
        ]
    return found
