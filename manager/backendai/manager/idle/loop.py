"""The loop that looks at running sessions, warns their owners, and ends those that are idle.

One manager at a time does it, by a lease; what is ended is looked at again under its lock.
"""

import asyncio
import uuid
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import SessionNotFound, Stale
from backendai.common.logs import get_logger
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.moves import load_session, write_moves
from backendai.manager.lifecycle.orders import end_moves
from backendai.manager.lifecycle.store import CoreStore

from . import store
from .decide import judge, take_sample
from .model import REASONS, Case, Check, Verdict
from .rules import Rules
from .service import Rulebook, finding_of

log = get_logger(__name__)

LOOK_SECONDS: Final = 10.0
FORGET_SECONDS: Final = 600.0
LEASE_NAME: Final = "idle"
LEASE_SECONDS: Final = 30.0


class Turn(Protocol):
    """Whether it is this manager's turn."""

    async def is_held(self) -> bool: ...


def hold_turn(core_store: CoreStore, clock: Clock, holder: str) -> Lease:
    """The turn of the manager that is called `holder`."""
    return Lease(core_store, clock, LEASE_NAME, holder, LEASE_SECONDS)


class IdleWatch:
    """Looks at the level each time, so that nothing is lost with a manager."""

    def __init__(self, database: Database, rulebook: Rulebook, turn: Turn, clock: Clock) -> None:
        self._database = database
        self._rulebook = rulebook
        self._turn = turn
        self._clock = clock

    async def step(self) -> None:
        """One look at all running sessions, a page at a time. Raises StoreUnavailable."""
        after = None
        while await self._turn.is_held():
            page = await self._look(after)
            if len(page) < store.PAGE_CASES:
                return
            after = page[-1].session_id

    async def forget(self) -> None:
        """Drop what was kept of sessions that have ended."""
        await self._database.put(store.forget_ended)

    async def _look(self, after: uuid.UUID | None) -> list[Case]:
        """Judge the page that comes `after`, keep what was found, and end what has to end."""
        rules, now = self._rulebook.read(), self._clock.now()
        cases = await self._database.read(lambda conn: store.load_page(conn, rules, now, after))
        judged = await asyncio.to_thread(lambda: [_judge(case, rules, now) for case in cases])
        changed = [
            finding
            for (_, finding), before in zip(judged, cases, strict=True)
            if _is_news(finding, before)
        ]
        if changed:
            await self._database.transact(lambda conn: store.write_findings(conn, changed, now))
        for verdict, finding in judged:
            if verdict.end is not None:
                await self._end(finding.case, rules)
        return cases

    async def _end(self, case: Case, rules: Rules) -> None:
        """Look once more, now that nobody can move it, and end it if that still holds."""

        async def work(conn: AsyncConnection) -> Check | None:
            now = self._clock.now()
            session, kernels = await load_session(conn, case.session_id, lock=True)
            again = await store.find_case(conn, rules, now, case.session_id)
            check = None if again is None else judge(again, rules, now).end
            moves = end_moves(kernels, REASONS[check.checker], _detail(check)) if check else []
            await write_moves(conn, [(session, kernels)], moves, now)
            return check if moves else None

        try:
            ended = await self._database.transact(work)
        except (Stale, SessionNotFound) as fault:
            log.debug("idle.end_stale", session=str(case.session_id), detail=fault.detail)
            return
        if ended is not None:
            log.info("idle.session_ended", session=str(case.session_id), why=ended.detail)


def _judge(case: Case, rules: Rules, now: datetime) -> tuple[Verdict, store.Finding]:
    looked = take_sample(case, rules)
    verdict = judge(looked, rules, now)
    return verdict, finding_of(looked, verdict, now)


def _is_news(finding: store.Finding, before: Case) -> bool:
    known = (before.utilization, before.warned, before.checks)
    return known != (finding.case.utilization, finding.warned, finding.checks)


def _detail(check: Check) -> dict[str, Any]:
    return {"detail": check.detail, "checker": check.checker.value, "extra": check.extra}
