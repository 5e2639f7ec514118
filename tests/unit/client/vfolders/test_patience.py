"""When a transfer is tried again, and when it is given up."""

import pytest

from backendai.client.faults import ConnectionLost
from backendai.client.vfolders.patience import (
    Patience,
    is_expired,
    is_passing,
    is_upload_gone,
)
from backendai.common.faults import Fault, FileNotFound, Forbidden, Unavailable
from backendai.common.storage_faults import StorageFull
from backendai.common.upload_faults import (
    TokenExpired,
    UploadChecksumMismatch,
    UploadExceeded,
    UploadFull,
    UploadLost,
    UploadNotFound,
    UploadOffsetMismatch,
)
from tests.unit.client.scripted import HurryingClock

LOST = ConnectionLost("gone")


@pytest.mark.parametrize(
    ("fault", "passes"),
    [
        (LOST, True),
        (Unavailable(), True),
        (UploadOffsetMismatch.at(3), True),
        (UploadChecksumMismatch.at(3), True),
        (UploadFull.at(3), False),
        (UploadExceeded.at(3), False),
        (StorageFull(), False),
        (Forbidden(), False),
        (FileNotFound("a"), False),
    ],
)
def test_which_faults_pass(fault: Fault, passes: bool) -> None:
    assert is_passing(fault) is passes


def test_what_takes_another_ticket() -> None:
    assert is_expired(TokenExpired())
    assert all(map(is_upload_gone, (TokenExpired(), UploadLost(), UploadNotFound("u"))))
    assert not is_upload_gone(LOST)


async def lose() -> None:
    raise LOST


async def test_it_ends_without_progress_and_begins_anew_with_it() -> None:
    clock = HurryingClock()
    patience = Patience(clock, 30.0)
    for offset in (1, 2, 3):
        patience.note(offset)
        begun = clock.elapsed
        while clock.elapsed - begun < 29:
            await patience.pause(LOST, passes=True)
    patience.note(3)
    begun = clock.elapsed
    with pytest.raises(ConnectionLost):
        await patience.ask(lose)
    assert clock.elapsed - begun < 10


async def test_what_never_passes_is_raised_at_once() -> None:
    clock = HurryingClock()
    with pytest.raises(Forbidden):
        await Patience(clock, 30.0).pause(Forbidden(), passes=False)
    assert clock.elapsed == 0


async def test_what_passes_is_asked_again() -> None:
    outcomes: list[Fault | str] = [Unavailable(), LOST, "ticket"]

    async def ask() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Fault):
            raise outcome
        return outcome

    assert await Patience(HurryingClock(), 30.0).ask(ask) == "ticket"
