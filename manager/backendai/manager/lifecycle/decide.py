"""PURE: what the rows of the database and the report of an agent, put side by side, demand.

An agent's word is a level. FAILED, EXITED and GONE are proofs for one generation and those before
it; everything else moves a kernel forward at most. What the database does not know is listed and
never killed. A node with a newer generation of a kernel than its row proves that the row is old,
come back with a backup: no order leaves before its generation is written. The row catches up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from backendai.common.contracts.agent import Desired, KernelReport, KernelState
from backendai.common.enums import Reason, SessionType
from backendai.common.ids import AgentId, Generation, KernelId
from backendai.common.lifecycle import (
    DEADLINES,
    HOLDING,
    STARTING,
    KernelEvent,
    KernelStatus,
    accepts,
)

from .model import KernelRow, Move

ATTEMPTS_MAX: Final = 3
# How long a running kernel must be missing from complete reports before it counts as ended.
ABSENT_SECONDS: Final = 60.0
ABSENT_REPORTS: Final = 3

PROOFS: Final = frozenset({KernelState.FAILED, KernelState.EXITED, KernelState.GONE})
_ENDING: Final = frozenset({KernelStatus.TERMINATING, KernelStatus.ERROR})
_ASKED_TO_RUN: Final = STARTING | {KernelStatus.RESTARTING}
_PROGRESS: Final[Mapping[KernelState, KernelEvent]] = {
    KernelState.PULLING: KernelEvent.PULL,
    KernelState.PREPARING: KernelEvent.PREPARE,
    KernelState.RUNNING: KernelEvent.START,
}
_OWN_END: Final = frozenset({"", Reason.SELF_TERMINATED, Reason.TASK_DONE, Reason.TASK_FAILED})


@dataclass(frozen=True, slots=True)
class KernelCase:
    """A kernel with what a decision needs of its session."""

    row: KernelRow
    session_type: SessionType
    cluster_size: int


@dataclass(frozen=True, slots=True)
class Order:
    """Something to ask of an agent: ENSURE of one generation."""

    kernel_id: KernelId
    generation: Generation
    desired: Desired
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What follows from one look at a node.

    `orphans` are kernels that the node has and the database does not know, or does not place there
    and knows at an older generation; `absent` are those that should run there and are not reported.
    """

    moves: tuple[Move, ...] = ()
    orders: tuple[Order, ...] = ()
    orphans: tuple[KernelReport, ...] = ()
    absent: frozenset[KernelId] = frozenset()


@dataclass(slots=True)
class Absences:
    """How long and how often kernels have been missing; the memory of one observer."""

    _seen: dict[KernelId, tuple[int, float]] = field(default_factory=dict)

    def note(self, absent: Iterable[KernelId], at: float) -> None:
        """Count one complete report, taken at `at` (monotonic seconds)."""
        missing = set(absent)
        counted = {key: self._seen.get(key, (0, at)) for key in missing}
        self._seen = {key: (count + 1, since) for key, (count, since) in counted.items()}

    def proven(self, at: float) -> frozenset[KernelId]:
        return frozenset(
            key
            for key, (count, since) in self._seen.items()
            if count >= ABSENT_REPORTS and at - since >= ABSENT_SECONDS
        )

    def forget(self) -> None:
        """Begin anew: contact was lost, or the node cannot see its own containers."""
        self._seen.clear()


def decide(
    agent_id: AgentId,
    cases: Sequence[KernelCase],
    reports: Sequence[KernelReport],
    *,
    is_complete: bool,
    missing: frozenset[KernelId] = frozenset(),
) -> Findings:
    """Compare the kernels that the database places on a node with the node's report.

    `cases` hold every kernel placed there and every one that the report names. `is_complete` says
    that what is not in `reports` is not on the node; `missing` are kernels that have been absent
    for so long that they count as ended.
    """
    told = _latest(reports)
    known = {str(case.row.id): case for case in cases}
    moves: list[Move] = []
    orders: list[Order] = []
    absent: set[KernelId] = set()
    for case in cases:
        row = case.row
        if row.agent_id != agent_id or row.status not in HOLDING:
            continue
        report = told.get(str(row.id))
        if report is not None and report.generation >= row.generation:
            outcome = judge(case, report)
        else:
            outcome = _unheard(row)
            if is_complete and report is None and row.status is KernelStatus.RUNNING:
                absent.add(row.id)
                outcome = _not_found(row) if row.id in missing else None
        if isinstance(outcome, Move):
            moves.append(outcome)
        elif outcome is not None:
            orders.append(outcome)
    strays = [_stray(agent_id, known.get(key), report) for key, report in told.items()]
    moves.extend(stray for stray in strays if isinstance(stray, Move))
    orders.extend(stray for stray in strays if isinstance(stray, Order))
    orphans = tuple(stray for stray in strays if isinstance(stray, KernelReport))
    return Findings(tuple(moves), tuple(orders), orphans, frozenset(absent))


def judge(case: KernelCase, report: KernelReport) -> Move | Order | None:
    """What the agent's word on the generation of a kernel, or on a newer one, means for it."""
    row = case.row
    if row.status in _ENDING:
        if report.state in PROOFS:
            return _move(row, KernelEvent.GONE, row.status_info, report)
        return Order(row.id, Generation(report.generation), Desired.GONE, row.status_info)
    if report.state is KernelState.FAILED and row.status in _ASKED_TO_RUN:
        return _failed(case, report)
    if report.state in PROOFS:
        return _move(row, KernelEvent.EXITED, _exit_reason(case, report), report)
    event = _PROGRESS.get(report.state)
    if event is None:
        is_wanted = row.status in _ASKED_TO_RUN and report.generation == row.generation
        again = report.asks_again and is_wanted
        return Order(row.id, row.generation, Desired.RUNNING) if again else None
    if accepts(row.status, event):
        return _move(row, event, report.reason, report)
    if report.generation > row.generation and accepts(row.status, KernelEvent.RESTART):
        return _move(row, KernelEvent.RESTART, Reason.RESTARTING, report)
    return None


def _latest(reports: Iterable[KernelReport]) -> dict[str, KernelReport]:
    """The report on the highest generation of each kernel: it speaks for the older ones too."""
    latest: dict[str, KernelReport] = {}
    for report in reports:
        other = latest.get(report.kernel_id)
        if other is None or report.generation > other.generation:
            latest[report.kernel_id] = report
    return latest


def _unheard(row: KernelRow) -> Order | None:
    """The node does not speak of this generation: ask again for what is wanted."""
    if row.status in _ENDING:
        return Order(row.id, row.generation, Desired.GONE, row.status_info)
    if row.status in _ASKED_TO_RUN:
        return Order(row.id, row.generation, Desired.RUNNING)
    return None


def _not_found(row: KernelRow) -> Move:
    return Move(
        kernel_id=row.id,
        event=KernelEvent.EXITED,
        reason=Reason.NOT_FOUND_ON_AGENT,
        generation=row.generation,
        expected_revision=row.revision,
    )


def _stray(
    agent_id: AgentId, case: KernelCase | None, report: KernelReport
) -> Move | Order | KernelReport | None:
    """A kernel that the node has and should not: GONE where that is proved, else an orphan; but
    one that waits is placed where it has begun, so that it does not begin a second time."""
    if report.state is KernelState.GONE:
        return None
    if case is None:
        return report
    row = case.row
    if row.agent_id == agent_id and row.status in HOLDING:
        return None
    if report.generation > row.generation:
        # The members of a cluster are placed together or not at all.
        is_begun = report.state in _PROGRESS or report.state is KernelState.EXITED
        if is_begun and row.status is KernelStatus.PENDING and case.cluster_size == 1:
            return Move(
                kernel_id=row.id,
                event=KernelEvent.PLACE,
                expected_revision=row.revision,
                generation=row.generation,
                seen_generation=Generation(report.generation),
                agent_id=agent_id,
            )
        return report
    return Order(row.id, Generation(report.generation), Desired.GONE, row.status_info)


def _failed(case: KernelCase, report: KernelReport) -> Move:
    row = case.row
    may_retry = (
        report.retriable
        and case.cluster_size == 1
        and row.attempts < ATTEMPTS_MAX
        and accepts(row.status, KernelEvent.REQUEUE)
    )
    event = KernelEvent.REQUEUE if may_retry else KernelEvent.FAILED
    return _move(row, event, report.reason or Reason.FAILED_TO_START, report)


def _exit_reason(case: KernelCase, report: KernelReport) -> str:
    if report.reason not in _OWN_END:
        return report.reason
    if not report.reason and report.exit_code is None:
        # Nobody saw it end, so nobody may say that it did so by itself.
        return Reason.NOT_FOUND_ON_AGENT
    if case.session_type is not SessionType.BATCH:
        return Reason.SELF_TERMINATED
    return Reason.TASK_DONE if report.exit_code == 0 else Reason.TASK_FAILED


def _move(row: KernelRow, event: KernelEvent, reason: str, report: KernelReport) -> Move:
    is_start = event is KernelEvent.START
    is_newer = report.generation > row.generation
    detail: dict[str, Any] = {"error": report.detail} if report.detail else {}
    return Move(
        kernel_id=row.id,
        event=event,
        reason=reason,
        detail=detail,
        expected_revision=row.revision,
        generation=row.generation,
        seen_generation=Generation(report.generation) if is_newer else None,
        container_id=report.container_id or None,
        service_ports=tuple(msgspec.to_builtins(report.service_ports)) if is_start else None,
        devices=dict(report.devices) if is_start else None,
        exit_code=report.exit_code,
    )


def overdue_moves(cases: Sequence[KernelCase], now: datetime) -> list[Move]:
    """The event of each kernel that stayed longer in its status than the table allows."""
    moves = []
    for case in cases:
        row = case.row
        event = DEADLINES[row.status].event if row.status in DEADLINES else None
        if event is None or row.deadline_at is None or row.deadline_at > now:
            continue
        is_stuck = event is KernelEvent.STUCK
        moves.append(
            Move(
                kernel_id=row.id,
                event=event,
                reason=Reason.TERMINATE_TIMEOUT if is_stuck else Reason.START_TIMEOUT,
                detail={"status": row.status.value, "since": row.status_changed_at.isoformat()},
                expected_revision=row.revision,
            )
        )
    return moves
