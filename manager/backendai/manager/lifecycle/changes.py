"""PURE: what a set of moves of one session changes, down to the last row.

Rules that bind siblings are worked out here, so they are part of the same transaction and no
caller can forget them: a dead main kernel ends the others, a member that dies before all run ends
the gang.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from backendai.common.enums import ClusterRole, Reason, SessionResult, SessionType
from backendai.common.faults import Stale
from backendai.common.ids import AgentId, Generation, KernelId, Revision
from backendai.common.lifecycle import (
    DEADLINES,
    FINAL,
    HOLDING,
    LIVE,
    STARTING,
    IllegalMove,
    KernelEvent,
    KernelStatus,
    SessionStatus,
    accepts,
    next_status,
    session_status,
)

from .model import (
    Announcement,
    Changes,
    HistoryRow,
    KernelRow,
    Move,
    MovedKernel,
    SessionRow,
    is_spread,
)

HINT_PLAN: Final = "plan"
HINT_OUTBOX: Final = "outbox"
HINT_NETWORKS: Final = "networks"
_KERNEL_ANNOUNCEMENTS: Final[Mapping[KernelStatus, str]] = {
    KernelStatus.SCHEDULED: "kernel_preparing",
    KernelStatus.PULLING: "kernel_pulling",
    KernelStatus.PREPARING: "kernel_creating",
    KernelStatus.RUNNING: "kernel_started",
    KernelStatus.CANCELLED: "kernel_cancelled",
    KernelStatus.TERMINATING: "kernel_terminating",
    KernelStatus.TERMINATED: "kernel_terminated",
}
_SESSION_ANNOUNCEMENTS: Final[Mapping[SessionStatus, str]] = {
    SessionStatus.SCHEDULED: "session_scheduled",
    SessionStatus.RUNNING: "session_started",
    SessionStatus.CANCELLED: "session_cancelled",
    SessionStatus.TERMINATING: "session_terminating",
    SessionStatus.TERMINATED: "session_terminated",
}
_RESULT_ANNOUNCEMENTS: Final[Mapping[SessionResult, str]] = {
    SessionResult.SUCCESS: "session_success",
    SessionResult.FAILURE: "session_failure",
}
# A node that gets work, or loses it, is told at once; the planner is woken by room and by asks.
_FREEING: Final = FINAL | {KernelStatus.PENDING}
# What a node is to do is another thing than before; the other moves are the node's own word.
_ORDERED: Final = {KernelStatus.SCHEDULED, KernelStatus.RESTARTING, KernelStatus.TERMINATING}


@dataclass(slots=True)
class _Draft:
    """The rows while moves are applied one after the other."""

    session: SessionRow
    kernels: dict[KernelId, KernelRow]
    now: datetime
    moved: list[MovedKernel] = field(default_factory=list)
    freed: list[tuple[KernelId, Generation]] = field(default_factory=list)
    taken: dict[KernelId, KernelRow] = field(default_factory=dict)
    history: list[HistoryRow] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)

    def ranked(self) -> list[KernelRow]:
        return sorted(self.kernels.values(), key=lambda row: row.rank)


def work_out(
    session: SessionRow, kernels: Sequence[KernelRow], moves: Sequence[Move], now: datetime
) -> Changes:
    """The changes that `moves` and the rules among siblings make to one session.

    `kernels` are all kernels of the session. Raises Stale when a guard does not hold or the table
    has no such move.
    """
    draft = _Draft(session, {row.id: row for row in kernels}, now)
    for move in moves:
        _apply(draft, move)
    while implied := implied_moves(draft.ranked()):
        for move in implied:
            _apply(draft, move)
    _derive_session(draft)
    changed = [row for row in kernels if draft.kernels[row.id] is not row]
    return Changes(
        session_before=session,
        session=draft.session,
        moved=tuple(replace(m, session_status=draft.session.status) for m in draft.moved),
        before=tuple(changed),
        after=tuple(draft.kernels[row.id] for row in changed),
        freed=tuple(draft.freed),
        taken=tuple(draft.taken.values()),
        history=tuple(draft.history),
        announcements=tuple(draft.announcements),
        hints=tuple(draft.hints),
    )


def implied_moves(kernels: Sequence[KernelRow]) -> list[Move]:
    """What the statuses of siblings demand of each other, main kernel first."""
    if not _must_end(kernels):
        return []
    return [
        Move(kernel_id=row.id, event=KernelEvent.TERMINATE, reason=Reason.SIBLING_FAILED)
        for row in kernels
        if row.status in LIVE
        and row.status not in (KernelStatus.TERMINATING, KernelStatus.ERROR)
        and accepts(row.status, KernelEvent.TERMINATE)
    ]


def _must_end(kernels: Sequence[KernelRow]) -> bool:
    if all(row.status in LIVE for row in kernels):
        return False
    begun = STARTING | {KernelStatus.PENDING}
    return (
        kernels[0].status in FINAL
        or any(row.status is KernelStatus.CANCELLED for row in kernels)
        or any(row.status in begun for row in kernels)
    )


def _apply(draft: _Draft, move: Move) -> None:
    row = draft.kernels.get(move.kernel_id)
    if row is None:
        raise Stale(f"kernel {move.kernel_id} is not of session {draft.session.id}")
    _check_guards(row, move)
    try:
        status = next_status(row.status, move.event)
    except IllegalMove as refusal:
        raise Stale(f"kernel {row.id}: {refusal}") from refusal
    after = _moved_row(row, status, move, draft.now)
    draft.kernels[row.id] = after
    draft.moved.append(MovedKernel(row, after, move.event, draft.session.status))
    _account(draft, row, after)
    draft.history.append(_kernel_history(row, after, move, draft.now))
    name = _KERNEL_ANNOUNCEMENTS.get(status)
    if name is not None:
        draft.announcements.append(_announce(draft.session, name, after.status_info, after))
    _collect_hints(draft, row, after)
    _note_exit(draft, after, move)


def _check_guards(row: KernelRow, move: Move) -> None:
    if move.expected_revision is not None and row.revision != move.expected_revision:
        raise Stale(f"kernel {row.id} is at revision {row.revision}, not {move.expected_revision}")
    if move.generation is not None and row.generation != move.generation:
        raise Stale(f"kernel {row.id} is at generation {row.generation}, not {move.generation}")
    if move.seen_generation is not None and row.generation >= move.seen_generation:
        raise Stale(f"kernel {row.id} is at generation {row.generation} already")
    if move.event is KernelEvent.PLACE and move.agent_id is None:
        raise ValueError("a PLACE move names the agent")


def _moved_row(row: KernelRow, status: KernelStatus, move: Move, now: datetime) -> KernelRow:
    limit = DEADLINES[status].seconds if status in DEADLINES else None
    after = replace(
        row,
        revision=Revision(row.revision + 1),
        status=status,
        status_info=str(move.reason),
        status_data=dict(move.detail),
        status_changed_at=now,
        deadline_at=None if limit is None else now + timedelta(seconds=limit),
        exit_code=row.exit_code if move.exit_code is None else move.exit_code,
        ended_at=now if status in FINAL else None,
    )
    shaped = _SHAPERS.get(move.event, _keep)(after, move, now)
    if move.seen_generation is None:
        return shaped
    return replace(shaped, generation=move.seen_generation)


def _keep(row: KernelRow, move: Move, now: datetime) -> KernelRow:
    return row


def _place(row: KernelRow, move: Move, now: datetime) -> KernelRow:
    return replace(
        row,
        agent_id=move.agent_id,
        generation=Generation(row.generation + 1),
        attempts=row.attempts + 1,
        container_id=None,
    )


def _start(row: KernelRow, move: Move, now: datetime) -> KernelRow:
    return replace(
        row,
        container_id=move.container_id or row.container_id,
        service_ports=row.service_ports if move.service_ports is None else move.service_ports,
        devices=row.devices if move.devices is None else dict(move.devices),
        started_at=row.started_at or move.started_at or now,
    )


def _requeue(row: KernelRow, move: Move, now: datetime) -> KernelRow:
    failed = (*row.failed_agents, row.agent_id) if row.agent_id else row.failed_agents
    return replace(row, agent_id=None, container_id=None, failed_agents=failed)


def _restart(row: KernelRow, move: Move, now: datetime) -> KernelRow:
    return replace(row, generation=Generation(row.generation + 1), container_id=None)


_SHAPERS: Final = {
    KernelEvent.PLACE: _place,
    KernelEvent.START: _start,
    KernelEvent.REQUEUE: _requeue,
    KernelEvent.RESTART: _restart,
}


def _account(draft: _Draft, before: KernelRow, after: KernelRow) -> None:
    """Free what the kernel held under its old generation, take what it holds under the new."""
    held = before.status in HOLDING
    holds = after.status in HOLDING
    same = held and holds and before.generation == after.generation
    if held and not same:
        draft.freed.append((before.id, before.generation))
        draft.taken.pop(before.id, None)
    if holds and not same:
        draft.taken[after.id] = after


def _kernel_history(before: KernelRow, after: KernelRow, move: Move, now: datetime) -> HistoryRow:
    detail: dict[str, Any] = dict(move.detail)
    if after.agent_id or before.agent_id:
        detail["agent"] = after.agent_id or before.agent_id
    if move.exit_code is not None:
        detail["exit_code"] = move.exit_code
    return HistoryRow(
        after.session_id,
        after.id,
        after.generation,
        before.status.value,
        after.status.value,
        move.event.value,
        str(move.reason),
        detail,
        now,
    )


def _collect_hints(draft: _Draft, before: KernelRow, after: KernelRow) -> None:
    for agent in (before.agent_id, after.agent_id):
        if agent is not None and after.status in _ORDERED:
            draft.hints[agent_hint(agent)] = None
    if after.status in _FREEING:
        draft.hints[HINT_PLAN] = None


_GIVING_RESULTS: Final = (KernelEvent.EXITED, KernelEvent.FAILED, KernelEvent.FENCED)


def _note_exit(draft: _Draft, after: KernelRow, move: Move) -> None:
    """The session's exit code and result are those of its main kernel."""
    if after.cluster_role is not ClusterRole.MAIN or after.status not in FINAL:
        return
    session = draft.session
    result = session.result
    if session.type is SessionType.BATCH and move.event in _GIVING_RESULTS:
        done = move.event is KernelEvent.EXITED and after.exit_code == 0
        result = SessionResult.SUCCESS if done else SessionResult.FAILURE
    draft.session = replace(session, exit_code=after.exit_code, result=result)


def _derive_session(draft: _Draft) -> None:
    before = draft.session
    rows = draft.ranked()
    status = session_status([row.status for row in rows])
    reason = _session_reason(rows, status, before)
    is_moved = status is not before.status
    draft.session = replace(
        before,
        revision=Revision(before.revision + 1),
        status=status,
        status_info=reason,
        status_changed_at=draft.now if is_moved else before.status_changed_at,
        started_at=before.started_at or (draft.now if _runs(status) else None),
        ended_at=draft.now if status in _SESSION_ENDS else None,
    )
    draft.hints[session_hint(before.id)] = None
    if is_moved:
        draft.hints[status_hint(before.id, status)] = None
        if is_spread(before) and status in _WEAVING:
            draft.hints[HINT_NETWORKS] = None
        _announce_session(draft, before, rows)
    if draft.announcements:
        draft.hints[HINT_OUTBOX] = None


_SESSION_ENDS: Final = (SessionStatus.TERMINATED, SessionStatus.CANCELLED)
# A network of the session is to be made, or is not needed any more.
_WEAVING: Final = (SessionStatus.SCHEDULED, *_SESSION_ENDS)


def _runs(status: SessionStatus) -> bool:
    return status in (SessionStatus.RUNNING, SessionStatus.RUNNING_DEGRADED)


def _session_reason(rows: Sequence[KernelRow], status: SessionStatus, before: SessionRow) -> str:
    """The main kernel's reason, unless another one brought the end about."""
    if status is before.status and before.status_info:
        return before.status_info
    causes = [row.status_info for row in rows if row.status_info != Reason.SIBLING_FAILED]
    return next((cause for cause in causes if cause), "")


def _announce_session(draft: _Draft, before: SessionRow, rows: Sequence[KernelRow]) -> None:
    session = draft.session
    event = draft.moved[-1].event.value if draft.moved else "enqueue"
    draft.history.append(
        HistoryRow(
            session.id,
            None,
            None,
            before.status.value,
            session.status.value,
            event,
            session.status_info,
            {},
            draft.now,
        )
    )
    # The result comes before the end: a watcher that stops at either then knows the exit code.
    if session.status in _SESSION_ENDS and session.result in _RESULT_ANNOUNCEMENTS:
        name = _RESULT_ANNOUNCEMENTS[session.result]
        draft.announcements.append(_announce(session, name, session.status_info))
    if (known := _SESSION_ANNOUNCEMENTS.get(session.status)) is not None:
        draft.announcements.append(_announce(session, known, session.status_info))


def _announce(
    session: SessionRow, name: str, reason: str, kernel: KernelRow | None = None
) -> Announcement:
    payload: dict[str, Any] = {
        "reason": reason,
        "sessionName": session.name,
        "ownerAccessKey": session.access_key,
        "sessionId": str(session.id),
        "exitCode": session.exit_code if kernel is None else kernel.exit_code,
    }
    if kernel is not None:
        payload["kernelId"] = str(kernel.id)
        payload["clusterRole"] = kernel.cluster_role.value
        payload["clusterIdx"] = kernel.cluster_index
    return Announcement(session.id, name, payload)


def enqueued(session: SessionRow, kernels: Iterable[KernelRow], now: datetime) -> Changes:
    """What is written beside the rows of a new session."""
    history = [
        HistoryRow(
            session.id, row.id, row.generation, None, row.status.value, "enqueue", "", {}, now
        )
        for row in kernels
    ]
    history.append(
        HistoryRow(session.id, None, None, None, session.status.value, "enqueue", "", {}, now)
    )
    return Changes(
        session_before=session,
        session=session,
        moved=(),
        before=(),
        after=(),
        freed=(),
        taken=(),
        history=tuple(history),
        announcements=(_announce(session, "session_enqueued", ""),),
        hints=(HINT_PLAN, HINT_OUTBOX, session_hint(session.id)),
    )


def agent_hint(agent: AgentId | str) -> str:
    return f"agent:{agent}"


def session_hint(session_id: object) -> str:
    return f"session:{session_id}"


def status_hint(session_id: object, status: SessionStatus) -> str:
    """Posted when the session has come to that status, for who waits for nothing else."""
    return f"{session_hint(session_id)}:{status}"
