"""The planner's loop: load the view, cancel what can never start, plan, write what still holds.

A lease lets one manager plan at a time; it saves double work and guards nothing, since what is
written is looked at again under locks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from backendai.common.clock import Clock
from backendai.common.enums import Reason
from backendai.common.failpoints import failpoint
from backendai.common.faults import Stale
from backendai.common.lifecycle import KernelEvent
from backendai.common.logs import get_logger
from backendai.common.loops import Wake
from backendai.common.spans import Span
from backendai.common.tracing import span
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.model import Move
from backendai.manager.lifecycle.store import CoreStore

from .placement import Placement
from .reasons import WaitReason, frozen
from .view import Ask, DependencyState, View, classify

log = get_logger(__name__)

LEASE_NAME: Final = "plan"
# With the period at which others look, a manager that is killed is replaced within five seconds.
LEASE_SECONDS: Final = 3.0
# Sessions placed in one transaction: agents are locked no longer than that takes.
BATCH: Final = 64


class Planner:
    """Places waiting sessions. `holder` names this manager in the lease."""

    def __init__(self, store: CoreStore, clock: Clock, holder: str, wake: Wake) -> None:
        self._store = store
        self._clock = clock
        self._lease = Lease(store, clock, LEASE_NAME, holder, LEASE_SECONDS)
        self._wake = wake
        self._seed = 0

    async def step(self) -> None:
        if not await self._lease.is_held():
            return
        with span("plan") as here:
            await self._plan(here)

    async def _plan(self, here: Span) -> None:
        """One pass, in the name of whoever holds the lease."""
        view = await self._store.load_view()
        here.note({"plan.waiting": len(view.asks)})
        if view.is_frozen:
            # Also nobody's time to wait runs out by it.
            await self._explain((ask, frozen()) for ask in view.asks)
            await self._lease.keep()
            return
        now = self._clock.now()
        view = await self._cancel_hopeless(view, now)
        if not view.asks:
            await self._lease.keep()
            return
        self._seed += 1
        await failpoint("manager.plan.before_plan")
        # With it comes numpy, which a manager that is starting can do without.
        from .plan import plan

        made = plan(view, now, self._seed)
        placements = list(made.placements())
        here.note({"plan.placed": len(placements)})
        await self._place(placements)
        await self._explain(made.waits())

    async def _cancel_hopeless(self, view: View, now: datetime) -> View:
        """End the sessions that will never start, and leave them out of the view."""
        hopeless = {
            ask.session_id: found for ask in view.asks if (found := _hopeless(view, ask, now))
        }
        asks = {ask.session_id: ask for ask in view.asks}
        for session_id, (reason, detail) in hopeless.items():
            try:
                await self._store.move(_cancel(asks[session_id], reason, detail), now)
            except Stale:
                self._wake.hint()
        if not hopeless:
            return view
        rest = tuple(ask for ask in view.asks if ask.session_id not in hopeless)
        return replace(view, asks=rest, classes=classify(rest))

    async def _place(self, placements: Sequence[Placement]) -> None:
        for start in range(0, len(placements), BATCH):
            batch = placements[start : start + BATCH]
            placed = await self._store.place(batch, self._clock.now())
            for moved in placed.moved:
                log.info(
                    "kernel.placed",
                    session=str(moved.after.session_id),
                    kernel=str(moved.after.id),
                    agent=moved.after.agent_id,
                    generation=moved.after.generation,
                )
            if placed.refused:
                log.info("plan.refused", count=len(placed.refused))
                self._wake.hint()

    async def _explain(self, waits: Iterable[tuple[Ask, WaitReason]]) -> None:
        changed = [(ask, reason) for ask, reason in waits if reason.digest != ask.waiting_digest]
        if changed:
            await self._store.write_waits(changed, self._clock.now())


def _hopeless(view: View, ask: Ask, now: datetime) -> tuple[Reason, str] | None:
    """Why a session will never start, if that is so."""
    failed = [one for one in ask.dependencies if one.state is DependencyState.FAILED]
    if failed:
        names = ", ".join(f"{one.name} ({one.status})" for one in failed)
        return Reason.DEPENDENCY_FAILED, f"It depends on {names}."
    group = view.groups.get(ask.group)
    limit = group.pending_timeout_seconds if group is not None else None
    if limit is not None and now - ask.eligible_at >= timedelta(seconds=limit):
        return Reason.PENDING_TIMEOUT, f"It waited longer than the {limit:g} s of {ask.group}."
    return None


def _cancel(ask: Ask, reason: Reason, detail: str) -> list[Move]:
    return [
        Move(
            kernel_id=kernel.kernel_id,
            event=KernelEvent.TERMINATE,
            reason=reason,
            detail={"detail": detail},
            expected_revision=kernel.revision,
        )
        for kernel in ask.kernels
    ]
