"""What a set of moves changes: guards, accounts, history, events, and the rules among siblings."""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.common.enums import ClusterRole, Reason, SessionResult, SessionType
from backendai.common.events import EventName
from backendai.common.faults import Stale
from backendai.common.ids import AgentId, Generation, KernelId, Revision, SessionId
from backendai.common.lifecycle import (
    FINAL,
    HOLDING,
    LIVE,
    TABLE,
    KernelEvent,
    KernelStatus,
    session_status,
)
from backendai.manager.lifecycle.changes import implied_moves, work_out
from backendai.manager.lifecycle.model import Changes, KernelRow, Move, SessionRow
from backendai.manager.lifecycle.orders import fence_moves

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = SessionId(uuid.UUID(int=99))


def make_kernel(number: int, status: str, **changes: Any) -> KernelRow:
    kernel_status = KernelStatus(status)
    is_placed = kernel_status is not KernelStatus.PENDING
    row = KernelRow(
        id=KernelId(uuid.UUID(int=number)),
        session_id=SESSION,
        revision=Revision(3),
        status=kernel_status,
        status_changed_at=NOW,
        cluster_role=ClusterRole.MAIN if number == 1 else ClusterRole.SUB,
        cluster_index=max(number - 1, 1),
        generation=Generation(1 if is_placed else 0),
        agent_id=AgentId("a1") if is_placed else None,
        requested_slots={"cpu": "1"},
    )
    return replace(row, **changes)


def make_session(kernels: Sequence[KernelRow], kind: str = "interactive") -> SessionRow:
    return SessionRow(
        id=SESSION,
        revision=Revision(5),
        name="s",
        type=SessionType(kind),
        access_key="AK",
        cluster_size=len(kernels),
        status=session_status([row.status for row in kernels]),
        status_changed_at=NOW,
    )


def run(
    kernels: Sequence[KernelRow], *moves: Move, kind: str = "interactive", at: datetime = NOW
) -> Changes:
    return work_out(make_session(kernels, kind), kernels, moves, at)


def move(number: int, event: KernelEvent, **options: Any) -> Move:
    return Move(kernel_id=KernelId(uuid.UUID(int=number)), event=event, **options)


def test_placing_takes_the_room_under_a_new_generation() -> None:
    done = run([make_kernel(1, "PENDING")], move(1, KernelEvent.PLACE, agent_id=AgentId("a1")))
    (after,) = done.after
    assert (after.status, after.generation, after.attempts, after.revision) == (
        KernelStatus.SCHEDULED,
        1,
        1,
        4,
    )
    assert done.taken == (after,)
    assert not done.freed
    assert "agent:a1" in done.hints
    assert after.deadline_at == NOW + timedelta(seconds=60)


def test_an_exit_frees_the_room_and_wakes_the_planner() -> None:
    done = run([make_kernel(1, "RUNNING")], move(1, KernelEvent.EXITED, exit_code=1))
    assert done.freed == ((done.after[0].id, 1),)
    assert not done.taken
    assert "plan" in done.hints
    assert done.session.exit_code == 1
    assert done.after[0].deadline_at is None


def test_a_restart_moves_the_room_to_the_next_generation() -> None:
    done = run([make_kernel(1, "RUNNING")], move(1, KernelEvent.RESTART))
    assert done.freed == ((done.after[0].id, 1),)
    assert done.taken[0].generation == 2


@pytest.mark.parametrize(
    ("status", "event"),
    [("RUNNING", KernelEvent.RESTART), ("RESTARTING", KernelEvent.START)],
)
def test_the_room_moves_to_the_generation_that_the_node_has(
    status: str, event: KernelEvent
) -> None:
    done = run([make_kernel(1, status)], move(1, event, seen_generation=Generation(4)))
    assert done.freed == ((done.after[0].id, 1),)
    assert [row.generation for row in done.taken] == [4]
    assert done.history[0].generation == 4


def test_what_the_node_has_is_never_older_than_the_row() -> None:
    with pytest.raises(Stale):
        run([make_kernel(1, "RUNNING")], move(1, KernelEvent.EXITED, seen_generation=Generation(1)))


def test_a_requeue_remembers_where_it_failed() -> None:
    done = run([make_kernel(1, "PREPARING")], move(1, KernelEvent.REQUEUE))
    (after,) = done.after
    assert (after.status, after.agent_id, after.failed_agents) == (
        KernelStatus.PENDING,
        None,
        ("a1",),
    )
    assert done.freed
    assert not done.taken


@pytest.mark.parametrize(
    "options", [{"expected_revision": Revision(2)}, {"generation": Generation(2)}]
)
def test_a_guard_that_does_not_hold_is_stale(options: dict[str, Any]) -> None:
    with pytest.raises(Stale):
        run([make_kernel(1, "RUNNING")], move(1, KernelEvent.EXITED, **options))


@pytest.mark.parametrize("status", sorted(KernelStatus))
@pytest.mark.parametrize("event", sorted(KernelEvent))
def test_only_the_table_moves(status: KernelStatus, event: KernelEvent) -> None:
    asked = move(1, event, agent_id=AgentId("a1"))
    kernels = [make_kernel(1, status)]
    if (status, event) in TABLE:
        assert run(kernels, asked).after[0].status is TABLE[status, event]
    else:
        with pytest.raises(Stale):
            run(kernels, asked)


def test_a_kernel_of_another_session_is_stale() -> None:
    with pytest.raises(Stale):
        run([make_kernel(1, "RUNNING")], move(2, KernelEvent.EXITED))


def test_batch_results_come_before_the_end() -> None:
    done = run(
        [make_kernel(1, "SCHEDULED")],
        move(1, KernelEvent.EXITED, exit_code=0, reason=Reason.TASK_DONE),
        kind="batch",
    )
    assert done.session.result is SessionResult.SUCCESS
    names = [one.name for one in done.announcements]
    assert names == ["kernel_terminated", "session_success", "session_terminated"]
    assert done.announcements[1].payload["exitCode"] == 0


@pytest.mark.parametrize("code", [1, 137, None])
def test_a_batch_that_does_not_end_with_zero_failed(code: int | None) -> None:
    done = run(
        [make_kernel(1, "RUNNING")], move(1, KernelEvent.EXITED, exit_code=code), kind="batch"
    )
    assert done.session.result is SessionResult.FAILURE


def test_events_have_the_names_and_data_of_the_api() -> None:
    done = run([make_kernel(1, "PREPARING")], move(1, KernelEvent.START))
    kernel, session = done.announcements
    assert EventName(kernel.name) is EventName.KERNEL_STARTED
    assert EventName(session.name) is EventName.SESSION_STARTED
    assert kernel.payload == {
        "reason": "",
        "sessionName": "s",
        "ownerAccessKey": "AK",
        "sessionId": str(SESSION),
        "exitCode": None,
        "kernelId": str(uuid.UUID(int=1)),
        "clusterRole": "main",
        "clusterIdx": 1,
    }


def test_a_dead_main_kernel_ends_the_others() -> None:
    kernels = [make_kernel(1, "RUNNING"), make_kernel(2, "RUNNING"), make_kernel(3, "RUNNING")]
    done = run(kernels, move(1, KernelEvent.EXITED, reason=Reason.SELF_TERMINATED))
    statuses = [row.status.value for row in done.after]
    assert statuses == ["TERMINATED", "TERMINATING", "TERMINATING"]
    assert done.session.status_info == Reason.SELF_TERMINATED


def test_a_dead_sub_kernel_degrades() -> None:
    kernels = [make_kernel(1, "RUNNING"), make_kernel(2, "RUNNING")]
    done = run(kernels, move(2, KernelEvent.EXITED))
    assert done.session.status.value == "RUNNING_DEGRADED"
    assert len(done.after) == 1


@pytest.mark.parametrize("other", ["PENDING", "SCHEDULED", "PULLING", "PREPARING", "RUNNING"])
def test_a_member_that_fails_to_start_ends_the_gang(other: str) -> None:
    kernels = [make_kernel(1, other), make_kernel(2, "PREPARING")]
    done = run(kernels, move(2, KernelEvent.FAILED))
    first = done.after[0].status
    assert first in (KernelStatus.TERMINATING, KernelStatus.CANCELLED)


def test_history_tells_each_move_and_the_session_once() -> None:
    kernels = [make_kernel(1, "RUNNING"), make_kernel(2, "RUNNING")]
    done = run(kernels, move(1, KernelEvent.EXITED))
    told = [(line.kernel_id is None, line.from_status, line.to_status) for line in done.history]
    assert told == [
        (False, "RUNNING", "TERMINATED"),
        (False, "RUNNING", "TERMINATING"),
        (True, "RUNNING", "TERMINATING"),
    ]


def test_no_combination_of_siblings_is_stuck() -> None:
    """Every set of statuses either needs nothing, or what it needs can be done and then is done."""
    for statuses in itertools.product(KernelStatus, repeat=3):
        kernels = [make_kernel(number, status) for number, status in enumerate(statuses, 1)]
        implied = implied_moves(kernels)
        if not implied:
            continue
        done = work_out(make_session(kernels), kernels, implied, NOW)
        assert not implied_moves([*done.after, *(k for k in kernels if k not in done.before)])


events = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(sorted(KernelEvent))), min_size=1, max_size=30
)


@settings(max_examples=300, deadline=None)
@given(size=st.integers(1, 3), wishes=events)
def test_room_is_held_exactly_while_the_status_holds(
    size: int, wishes: list[tuple[int, KernelEvent]]
) -> None:
    kernels = [make_kernel(number, "PENDING") for number in range(1, size + 1)]
    session = make_session(kernels)
    held: dict[KernelId, int] = {}
    for number, event in wishes:
        try:
            done = work_out(session, kernels, [move(number, event, agent_id=AgentId("a1"))], NOW)
        except Stale:
            continue
        for kernel_id, generation in done.freed:
            assert held.pop(kernel_id) == generation
        for row in done.taken:
            assert row.id not in held
            held[row.id] = row.generation
        new = {row.id: row for row in done.after}
        kernels = [new.get(row.id, row) for row in kernels]
        session = done.session
        holding = {row.id: row.generation for row in kernels if row.status in HOLDING}
        assert held == holding
        assert session.status is session_status([row.status for row in kernels])
    assert all(row.status in FINAL | LIVE for row in kernels)


def test_a_fenced_main_kernel_ends_the_session_and_its_siblings_elsewhere() -> None:
    kernels = [make_kernel(1, "RUNNING"), make_kernel(2, "RUNNING", agent_id=AgentId("a2"))]
    done = run(kernels, *fence_moves(kernels, AgentId("a1")), kind="batch")
    assert [row.status for row in done.after] == ["TERMINATED", "TERMINATING"]
    assert done.freed == ((kernels[0].id, 1),)
    assert (done.session.status, done.session.status_info) == ("TERMINATING", Reason.AGENT_LOST)
    assert done.session.result is SessionResult.FAILURE


def test_a_session_goes_on_without_a_fenced_sub_kernel() -> None:
    kernels = [make_kernel(1, "RUNNING"), make_kernel(2, "RUNNING", agent_id=AgentId("a2"))]
    done = run(kernels, *fence_moves(kernels, AgentId("a2")))
    assert done.session.status == "RUNNING_DEGRADED"


def test_a_fence_of_a_kernel_that_moved_on_is_stale() -> None:
    before, now = make_kernel(1, "RUNNING"), make_kernel(1, "RUNNING", revision=Revision(4))
    with pytest.raises(Stale):
        run([now], *fence_moves([before], AgentId("a1")))
