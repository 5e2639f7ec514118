"""What operators see and do about nodes: list, fence, pause and resume."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.enums import AgentStatus
from backendai.common.faults import Conflict
from backendai.common.ids import AgentId
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action, Actor
from backendai.manager.lifecycle.changes import HINT_PLAN, agent_hint, work_out
from backendai.manager.lifecycle.model import KernelRow, Move, SessionRow
from backendai.manager.lifecycle.moves import lock_sessions, notify, write_moves
from backendai.manager.lifecycle.orders import fence_moves

from . import store
from .health import fence_refusal
from .model import AgentRow, AgentView, Fence, Patience, SessionFate

FENCE: Final = Action("agent.fence", Access.SUPERADMIN, writes=True)
MODIFY: Final = Action("agent.modify", Access.SUPERADMIN, writes=True)
Held = tuple[SessionRow, list[KernelRow]]
_HOW_TO_FENCE: Final = (
    "Stop its machine first: what is written off must not run. If you are sure, use --force."
)


class Agents:
    """`operator` is who acts, for the logs, the audit log and the history."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        clock: Clock,
        patience: Patience,
        operator: Actor,
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._patience = patience
        self._operator = operator

    async def list_views(self) -> list[AgentView]:
        return await self._database.read(store.load_views)

    async def preview_fence(self, agent_id: AgentId, *, is_forced: bool) -> Fence:
        """What `fence` would end now. Raises as it does."""

        async def work(conn: AsyncConnection) -> Fence:
            row = await self._lock(conn, agent_id, is_forced=is_forced)
            held = await _lock_held(conn, row)
            return Fence(row, self._foresee(row, held, self._clock.now()))

        return await self._database.transact(work)

    async def fence(self, agent_id: AgentId, *, is_forced: bool) -> Fence:
        """Write off a node on the operator's word that nothing runs there any more.

        Its kernels end, their room and their sessions' names are free. The node counts as
        TERMINATED until it is resumed; if it comes back before, it is watched, and ordered to
        remove what was written off. Doing it again is right. Raises AgentNotFound, Conflict.
        """

        async def work(change: Change) -> Fence:
            conn = change.connection
            row = await self._lock(conn, agent_id, is_forced=is_forced)
            if row.status is not AgentStatus.TERMINATED:
                await store.set_status(conn, row, AgentStatus.TERMINATED, row.flaps)
            held = await _lock_held(conn, row)
            moves = [move for _, kernels in held for move in self._write_off(row, kernels)]
            await write_moves(conn, held, moves, change.at)
            await notify(conn, [HINT_PLAN, agent_hint(agent_id)])
            done = Fence(row, self._foresee(row, held, change.at))
            await _note_fence(change, done, is_forced=is_forced)
            return done

        return await self._changes.run(self._operator, FENCE, work)

    async def pause(self, agent_id: AgentId) -> AgentRow:
        """Place no new sessions on a node. Returns it as it was. Raises AgentNotFound."""
        return await self._allow(agent_id, is_allowed=False)

    async def resume(self, agent_id: AgentId) -> AgentRow:
        """Take a node into use that was paused or fenced, or distrusted for its silences.

        A fenced one is SUSPECT until it has been heard for as long as any that was silent. Returns
        the node as it was. Raises AgentNotFound.
        """
        return await self._allow(agent_id, is_allowed=True)

    async def _allow(self, agent_id: AgentId, *, is_allowed: bool) -> AgentRow:
        async def work(change: Change) -> AgentRow:
            row = await store.lock_agent(change.connection, agent_id)
            await allow_sessions(change, row, is_allowed=is_allowed)
            return row

        return await self._changes.run(self._operator, MODIFY, work)

    async def _lock(self, conn: AsyncConnection, agent_id: AgentId, *, is_forced: bool) -> AgentRow:
        row = await store.lock_agent(conn, agent_id)
        refusal = fence_refusal(row, self._patience)
        if refusal and not is_forced:
            raise Conflict(f"{refusal}. {_HOW_TO_FENCE}")
        return row

    def _write_off(self, agent: AgentRow, kernels: Sequence[KernelRow]) -> list[Move]:
        return fence_moves(kernels, agent.id, {"by": self._operator.email})

    def _foresee(
        self, agent: AgentRow, held: Iterable[Held], now: datetime
    ) -> tuple[SessionFate, ...]:
        return tuple(
            _fate(session, kernels, self._write_off(agent, kernels), now)
            for session, kernels in held
        )


async def allow_sessions(change: Change, row: AgentRow, *, is_allowed: bool) -> None:
    """What `Agents.pause` and `Agents.resume` do with a node that the caller has locked."""
    conn = change.connection
    await store.allow_sessions(conn, row.id, is_allowed=is_allowed)
    if is_allowed and row.status is AgentStatus.TERMINATED:
        await store.set_status(conn, row, AgentStatus.SUSPECT, 0)
    await notify(conn, [HINT_PLAN])
    before = {"schedulable": row.schedulable, "status": row.status.value}
    await record(change, _target(row), before=before, after={"schedulable": is_allowed})
    event = "agent.resumed" if is_allowed else "agent.paused"
    change.log_when_done(event, agent=row.id, was=row.status.value)


async def _note_fence(change: Change, done: Fence, *, is_forced: bool) -> None:
    row, sessions = done.row, [str(fate.session_id) for fate in done.fates]
    await record(
        change,
        _target(row),
        before={"status": row.status.value},
        after={"status": AgentStatus.TERMINATED.value, "ended": sessions, "forced": is_forced},
    )
    change.log_when_done(
        "agent.fenced",
        agent=row.id,
        was=row.status.value,
        silent_seconds=round(row.silent_seconds, 1),
        forced=is_forced,
        kernels=done.kernels,
        sessions=sessions,
    )


def _target(row: AgentRow) -> Target:
    return Target("agent", row.id, None)


async def _lock_held(conn: AsyncConnection, agent: AgentRow) -> list[Held]:
    """The sessions that hold room on a node. As the node is locked, none comes to them."""
    return await lock_sessions(conn, await store.list_kernels(conn, agent.id))


def _fate(
    session: SessionRow, kernels: Sequence[KernelRow], moves: Sequence[Move], now: datetime
) -> SessionFate:
    after = work_out(session, kernels, moves, now).session.status
    return SessionFate(
        session.id, session.name, session.access_key, session.status, after, len(moves)
    )
