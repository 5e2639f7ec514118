"""The lifecycle table: every property here is derived from the table, none is listed twice."""

import itertools

import pytest

from backendai.common.lifecycle import (
    DEADLINES,
    FINAL,
    HOLDING,
    LIVE,
    SESSION_FINAL,
    STARTING,
    TABLE,
    IllegalMove,
    KernelEvent,
    KernelStatus,
    SessionStatus,
    next_status,
    session_status,
    sources,
)

S = KernelStatus
E = KernelEvent


def reachable_from(start: KernelStatus) -> set[KernelStatus]:
    seen = {start}
    edges = [start]
    while edges:
        status = edges.pop()
        for (source, _), target in TABLE.items():
            if source is status and target not in seen:
                seen.add(target)
                edges.append(target)
    return seen


def test_every_status_is_reachable_from_pending() -> None:
    assert reachable_from(S.PENDING) == set(S)


@pytest.mark.parametrize("status", sorted(LIVE))
def test_every_live_status_has_a_way_to_a_final_one(status: KernelStatus) -> None:
    assert reachable_from(status) & FINAL


def test_every_event_is_used() -> None:
    assert {event for _, event in TABLE} == set(E)


def test_final_statuses_are_the_dead_ones_of_the_api() -> None:
    assert {status.value for status in FINAL} == {"TERMINATED", "CANCELLED"}
    assert {status.value for status in SESSION_FINAL} == {"TERMINATED", "CANCELLED"}


def test_every_live_status_says_how_long_it_may_last() -> None:
    assert set(DEADLINES) == LIVE


@pytest.mark.parametrize(("status", "deadline"), DEADLINES.items())
def test_exceeding_a_deadline_is_a_move_of_the_table(
    status: KernelStatus, deadline: object
) -> None:
    limit = DEADLINES[status]
    if limit.seconds is None:
        assert limit.event is None
    else:
        assert limit.event is not None
        assert (status, limit.event) in TABLE


def test_whatever_holds_resources_can_be_terminated_or_is_ending() -> None:
    for status in HOLDING - {S.TERMINATING}:
        assert next_status(status, E.TERMINATE) is S.TERMINATING


def test_resources_are_released_only_by_a_proof_or_a_fence() -> None:
    proofs = {E.FAILED, E.REQUEUE, E.EXITED, E.GONE, E.FENCED}
    released = {
        event
        for (status, event), target in TABLE.items()
        if status in HOLDING and target not in HOLDING
    }
    assert released == proofs


def test_a_fast_job_may_end_before_it_was_seen_running() -> None:
    for status in STARTING:
        assert next_status(status, E.EXITED) is S.TERMINATED


def test_whatever_holds_resources_can_be_fenced() -> None:
    assert sources(E.FENCED) == HOLDING


def test_an_illegal_move_names_status_and_event() -> None:
    with pytest.raises(IllegalMove, match="TERMINATED takes no place"):
        next_status(S.TERMINATED, E.PLACE)


def test_sources_are_the_statuses_that_take_the_event() -> None:
    assert sources(E.GONE) == {S.TERMINATING, S.ERROR}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_session_status_is_total(size: int) -> None:
    for kernels in itertools.product(S, repeat=size):
        assert session_status(kernels) in SessionStatus


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_session_is_final_exactly_when_all_its_kernels_are(size: int) -> None:
    for kernels in itertools.product(S, repeat=size):
        ended = all(status in FINAL for status in kernels)
        assert (session_status(kernels) in SESSION_FINAL) == ended


def test_a_session_of_one_kernel_has_its_status() -> None:
    for status in S:
        assert session_status([status]).value == status.value


def test_a_session_without_kernels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        session_status([])


@pytest.mark.parametrize(
    ("kernels", "expected"),
    [
        ((S.RUNNING, S.RUNNING), SessionStatus.RUNNING),
        ((S.RUNNING, S.PREPARING), SessionStatus.PREPARING),
        ((S.RUNNING, S.TERMINATED), SessionStatus.RUNNING_DEGRADED),
        ((S.TERMINATED, S.RUNNING), SessionStatus.TERMINATING),
        ((S.RUNNING, S.TERMINATING), SessionStatus.TERMINATING),
        ((S.ERROR, S.TERMINATED), SessionStatus.ERROR),
        ((S.CANCELLED, S.CANCELLED), SessionStatus.CANCELLED),
        ((S.TERMINATED, S.CANCELLED), SessionStatus.TERMINATED),
        ((S.RUNNING, S.RESTARTING), SessionStatus.RESTARTING),
        ((S.SCHEDULED, S.PENDING), SessionStatus.PENDING),
    ],
)
def test_session_status_of_several_kernels(
    kernels: tuple[KernelStatus, ...], expected: SessionStatus
) -> None:
    assert session_status(kernels) is expected
