"""The statuses of folders: what the table says is whole, and refusals name what is there."""

import itertools

import pytest

from backendai.common.faults import Conflict
from backendai.manager.vfolders.model import (
    FINAL,
    LISTED,
    PATIENCE_SECONDS,
    TABLE,
    FolderEvent,
    FolderStatus,
    next_status,
    refuse_status,
)


def reach_from(status: FolderStatus) -> set[FolderStatus]:
    reached, front = {status}, {status}
    while front:
        front = {to for (origin, _), to in TABLE.items() if origin in front} - reached
        reached |= front
    return reached


def test_every_status_is_reached_and_every_event_is_used() -> None:
    begun = (FolderStatus.PERFORMING, FolderStatus.CLONING)
    assert set().union(*map(reach_from, begun)) == set(FolderStatus)
    assert {event for _, event in TABLE} == set(FolderEvent)


def test_every_folder_can_come_to_an_end() -> None:
    assert {FolderStatus.GONE} == FINAL
    assert all(FolderStatus.GONE in reach_from(status) for status in FolderStatus)


def test_what_is_ready_goes_only_through_the_bin() -> None:
    exits = {event for status, event in TABLE if status is FolderStatus.READY}
    assert exits == {FolderEvent.DELETE}


def test_what_waits_for_something_is_looked_after() -> None:
    resting = {FolderStatus.READY, FolderStatus.BINNED, FolderStatus.GONE}
    assert set(PATIENCE_SECONDS) == set(FolderStatus) - resting
    assert resting & LISTED == {FolderStatus.READY}


def test_what_the_table_does_not_have_is_refused_with_what_is_there() -> None:
    missing = set(itertools.product(FolderStatus, FolderEvent)) - set(TABLE)
    for status, event in missing - {(FolderStatus.GONE, event) for event in FolderEvent}:
        with pytest.raises(Conflict) as refused:
            next_status(status, event)
        assert refused.value.facts == {"status": status.value}
    assert "restore it first" in refuse_status(FolderStatus.BINNED).detail
