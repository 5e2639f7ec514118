"""Rows against reports: what is believed, what is asked again, what is left alone."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backendai.common.contracts.agent import Desired, KernelReport, KernelState
from backendai.common.enums import ClusterRole, Reason, SessionType
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId
from backendai.common.lifecycle import (
    FINAL,
    HOLDING,
    KernelEvent,
    KernelStatus,
    accepts,
    session_status,
)
from backendai.manager.lifecycle.changes import work_out
from backendai.manager.lifecycle.decide import (
    ABSENT_REPORTS,
    ABSENT_SECONDS,
    ATTEMPTS_MAX,
    PROOFS,
    Absences,
    Findings,
    KernelCase,
    Order,
    decide,
    overdue_moves,
)
from backendai.manager.lifecycle.model import KernelRow, Move, SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = AgentId("a1")
KERNEL = KernelId(uuid.UUID(int=1))


def case(status: str, *, kind: str = "interactive", size: int = 1, **changes: Any) -> KernelCase:
    row = KernelRow(
        id=KERNEL,
        session_id=SessionId(uuid.UUID(int=9)),
        revision=Revision(7),
        status=KernelStatus(status),
        status_changed_at=NOW,
        cluster_role=ClusterRole.MAIN,
        cluster_index=1,
        generation=Generation(2),
        attempts=1,
        agent_id=AGENT,
        requested_slots={"cpu": "1"},
    )
    return KernelCase(replace(row, **changes), SessionType(kind), size)


def told(state: str, generation: int = 2, **changes: Any) -> KernelReport:
    return KernelReport(
        kernel_id=str(KERNEL),
        session_id="",
        generation=generation,
        state=KernelState(state),
        **changes,
    )


def look(one: KernelCase, *reports: KernelReport, **options: Any) -> Findings:
    return decide(AGENT, [one], reports, **{"is_complete": True, **options})


def only_move(findings: Findings) -> Move:
    assert not findings.orders
    (move,) = findings.moves
    assert move.expected_revision == 7
    return move


def only_order(findings: Findings) -> Order:
    assert not findings.moves
    (order,) = findings.orders
    return order


@pytest.mark.parametrize("status", ["SCHEDULED", "PULLING", "PREPARING", "RESTARTING"])
def test_what_shall_start_and_is_not_known_there_is_asked_for(status: str) -> None:
    order = only_order(look(case(status)))
    assert (order.desired, order.generation) == (Desired.RUNNING, 2)
    assert only_order(look(case(status), told("running", 1))) == order
    assert only_order(look(case(status), is_complete=False)) == order


@pytest.mark.parametrize("status", ["TERMINATING", "ERROR"])
@pytest.mark.parametrize("state", [None, "waiting", "running", "stopping", "unknown"])
def test_what_shall_end_is_asked_to_until_it_is_proved(status: str, state: str | None) -> None:
    reports = [told(state)] if state else []
    assert only_order(look(case(status), *reports)).desired is Desired.GONE


@pytest.mark.parametrize("status", ["TERMINATING", "ERROR"])
@pytest.mark.parametrize("state", sorted(PROOFS))
def test_any_proof_ends_what_shall_end(status: str, state: str) -> None:
    assert only_move(look(case(status), told(state))).event is KernelEvent.GONE


@pytest.mark.parametrize("state", ["waiting", "unknown"])
def test_an_order_is_given_again_when_the_node_asks_for_it(state: str) -> None:
    order = only_order(look(case("PREPARING"), told(state, asks_again=True)))
    assert (order.desired, order.generation) == (Desired.RUNNING, 2)
    assert look(case("PREPARING"), told(state)) == Findings()
    assert look(case("PREPARING"), told(state, 3, asks_again=True)) == Findings()
    assert look(case("RUNNING"), told(state, asks_again=True)) == Findings()
    assert isinstance(only_move(look(case("PULLING"), told("preparing", asks_again=True))), Move)


@pytest.mark.parametrize(
    ("state", "event"),
    [("pulling", "pull"), ("preparing", "prepare"), ("running", "start")],
)
def test_progress_moves_on_and_never_back(state: str, event: str) -> None:
    for status in KernelStatus:
        if status not in HOLDING or status in (KernelStatus.TERMINATING, KernelStatus.ERROR):
            continue
        findings = look(case(status), told(state))
        if accepts(status, KernelEvent(event)):
            assert only_move(findings).event == event
        else:
            assert findings == Findings()


@pytest.mark.parametrize("status", ["SCHEDULED", "PULLING", "PREPARING", "RUNNING", "RESTARTING"])
def test_an_exit_is_believed_in_every_status(status: str) -> None:
    move = only_move(look(case(status, kind="batch"), told("exited", exit_code=0)))
    assert (move.event, move.reason, move.exit_code) == (KernelEvent.EXITED, Reason.TASK_DONE, 0)


@pytest.mark.parametrize(
    ("kind", "code", "reason", "wanted"),
    [
        ("batch", 0, "", Reason.TASK_DONE),
        ("batch", 1, "self-terminated", Reason.TASK_FAILED),
        ("batch", 137, "out-of-memory", Reason.OUT_OF_MEMORY),
        ("interactive", 0, "", Reason.SELF_TERMINATED),
        ("interactive", None, "", Reason.NOT_FOUND_ON_AGENT),
        ("interactive", 255, "killed-by-event", Reason.KILLED_BY_EVENT),
        ("interactive", 137, "killed-by-event", Reason.KILLED_BY_EVENT),
    ],
)
def test_reasons_of_ends(kind: str, code: int | None, reason: str, wanted: Reason) -> None:
    move = only_move(
        look(case("RUNNING", kind=kind), told("exited", exit_code=code, reason=reason))
    )
    assert move.reason == wanted


@pytest.mark.parametrize(
    ("retriable", "size", "attempts", "event"),
    [
        (True, 1, 1, KernelEvent.REQUEUE),
        (True, 1, ATTEMPTS_MAX, KernelEvent.FAILED),
        (False, 1, 1, KernelEvent.FAILED),
        (True, 2, 1, KernelEvent.FAILED),
    ],
)
def test_failures_are_tried_elsewhere_a_few_times(
    retriable: bool, size: int, attempts: int, event: KernelEvent
) -> None:
    failed = told("failed", retriable=retriable, detail="no disk")
    move = only_move(look(case("PREPARING", size=size, attempts=attempts), failed))
    assert move.event is event
    assert move.detail == {"error": "no disk"}


def test_a_restart_that_fails_ends_the_kernel() -> None:
    move = only_move(look(case("RESTARTING"), told("failed", retriable=True)))
    assert move.event is KernelEvent.FAILED


@pytest.mark.parametrize("state", sorted(KernelState))
@pytest.mark.parametrize("status", sorted(HOLDING))
def test_an_older_generation_proves_nothing(status: KernelStatus, state: KernelState) -> None:
    assert not look(case(status), told(state, 1)).moves


@pytest.mark.parametrize("state", sorted(set(KernelState) - {KernelState.GONE}))
@pytest.mark.parametrize(
    "changes",
    [
        {"status": "TERMINATED"},
        {"status": "CANCELLED"},
        {"agent_id": AgentId("a2")},
        {"status": "PENDING", "agent_id": None, "size": 2},
    ],
)
def test_a_newer_generation_of_what_is_over_or_elsewhere_is_an_orphan(
    changes: dict[str, Any], state: KernelState
) -> None:
    there = case(**{"status": "RUNNING", **changes})
    assert look(there, told(state, 3)) == Findings(orphans=(told(state, 3),))


def test_a_row_older_than_its_node_follows_through_a_restart() -> None:
    move = only_move(look(case("RUNNING"), told("running", 4, container_id="c4")))
    assert (move.event, move.reason) == (KernelEvent.RESTART, Reason.RESTARTING)
    assert (move.generation, move.seen_generation) == (2, 4)


@pytest.mark.parametrize("state", ["pulling", "preparing", "running", "exited"])
def test_what_waits_is_placed_where_it_has_begun(state: str) -> None:
    there = case("PENDING", agent_id=None, generation=Generation(0))
    move = only_move(look(there, told(state, 1, exit_code=0)))
    assert (move.event, move.agent_id, move.seen_generation) == (KernelEvent.PLACE, AGENT, 1)
    row = moved(there.row, move)
    assert (row.agent_id, row.generation) == (AGENT, 1)


@pytest.mark.parametrize("state", ["waiting", "failed", "stopping", "unknown"])
def test_what_waits_waits_on_where_it_has_not_begun(state: str) -> None:
    assert not look(case("PENDING", agent_id=None), told(state, 3)).moves


@pytest.mark.parametrize("state", ["waiting", "stopping", "unknown"])
def test_a_running_row_waits_for_a_clear_word_on_a_newer_generation(state: str) -> None:
    assert look(case("RUNNING"), told(state, 3)) == Findings()


@pytest.mark.parametrize("status", ["TERMINATING", "ERROR"])
@pytest.mark.parametrize("state", sorted(set(KernelState) - PROOFS))
def test_what_shall_end_ends_at_the_generation_that_is_there(status: str, state: str) -> None:
    order = only_order(look(case(status), told(state, 3)))
    assert (order.desired, order.generation) == (Desired.GONE, 3)


@pytest.mark.parametrize("status", sorted(HOLDING))
@pytest.mark.parametrize("state", sorted(KernelState))
def test_an_old_row_never_undoes_what_its_node_was_told_later(
    status: KernelStatus, state: KernelState
) -> None:
    """Looked at again and again, the row comes to be what the node says, and nothing but an end is
    ordered, where the row itself demands it or is over."""
    there, report = case(status), told(state, 4)
    is_ending = status in (KernelStatus.TERMINATING, KernelStatus.ERROR)
    for _ in range(5):
        findings = look(there, report)
        assert not findings.orphans
        assert not findings.absent
        for order in findings.orders:
            assert is_ending or there.row.status in FINAL
            assert (order.desired, order.generation) == (Desired.GONE, 4)
        for move in findings.moves:
            there = replace(there, row=moved(there.row, move))
    if state in PROOFS:
        assert there.row.status in FINAL
    elif is_ending:
        assert there.row == case(status).row
    elif state is KernelState.RUNNING:
        assert (there.row.status, there.row.generation) == (KernelStatus.RUNNING, 4)
    assert not look(there, report).moves


def moved(row: KernelRow, move: Move) -> KernelRow:
    session = SessionRow(
        id=row.session_id,
        revision=Revision(1),
        name="s",
        type=SessionType.INTERACTIVE,
        access_key="AK",
        cluster_size=1,
        status=session_status([row.status]),
        status_changed_at=NOW,
    )
    (after,) = work_out(session, [row], [move], NOW).after
    return after


def test_what_the_database_does_not_know_is_listed_and_left_alone() -> None:
    stranger = told("running")
    findings = decide(AGENT, [], [stranger], is_complete=True)
    assert findings == Findings(orphans=(stranger,))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "TERMINATED"},
        {"status": "CANCELLED"},
        {"agent_id": AgentId("a2"), "generation": Generation(3)},
        {"status": "PENDING", "agent_id": None},
    ],
)
def test_what_is_over_or_elsewhere_is_told_to_go(changes: dict[str, Any]) -> None:
    there = case(**{"status": "RUNNING", **changes})
    order = only_order(look(there, told("running")))
    assert (order.desired, order.generation) == (Desired.GONE, 2)
    assert look(there, told("gone")) == Findings()


def test_absence_is_noted_and_kills_nothing_at_once() -> None:
    assert look(case("RUNNING")) == Findings(absent=frozenset({KERNEL}))
    assert look(case("RUNNING"), is_complete=False) == Findings()


def test_long_absence_from_complete_reports_counts_as_an_end() -> None:
    move = only_move(look(case("RUNNING"), missing=frozenset({KERNEL})))
    assert (move.event, move.reason) == (KernelEvent.EXITED, Reason.NOT_FOUND_ON_AGENT)
    assert look(case("RUNNING"), missing=frozenset({KERNEL}), is_complete=False) == Findings()


def test_absence_needs_both_time_and_reports() -> None:
    absences = Absences()
    for number in range(ABSENT_REPORTS - 1):
        absences.note([KERNEL], float(number))
    assert not absences.proven(ABSENT_SECONDS * 2)
    absences.note([KERNEL], 3.0)
    assert not absences.proven(ABSENT_SECONDS - 1)
    assert absences.proven(ABSENT_SECONDS) == {KERNEL}
    absences.note([], ABSENT_SECONDS)
    assert not absences.proven(ABSENT_SECONDS * 2)


def test_deadlines_have_their_events() -> None:
    late = {"deadline_at": NOW - timedelta(seconds=1)}
    assert [m.event for m in overdue_moves([case("PULLING", **late)], NOW)] == ["terminate"]
    assert [m.event for m in overdue_moves([case("TERMINATING", **late)], NOW)] == ["stuck"]
    assert not overdue_moves([case("PULLING", deadline_at=NOW + timedelta(seconds=1))], NOW)
    assert not overdue_moves([case("RUNNING", **late)], NOW)
