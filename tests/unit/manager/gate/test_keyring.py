"""Who asks for a key while another one does so shares the answer, and the cost."""

import asyncio
from typing import Any

import pytest

from backendai.common.clock import FakeClock
from backendai.common.faults import StoreUnavailable
from backendai.manager.gate.keyring import Keyring


class SlowDatabase:
    """Counts what it is asked, and answers what it is told to when it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.answer: Any = None

    async def read(self, work: Any) -> Any:
        self.asked += 1
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def database() -> SlowDatabase:
    return SlowDatabase()


@pytest.fixture
def keyring(database: SlowDatabase) -> Keyring:
    made: Any = database
    box: Any = None
    return Keyring(made, box, FakeClock())


async def start(keyring: Keyring, count: int) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(keyring.find("AK")) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_one_question_answers_all(keyring: Keyring, database: SlowDatabase) -> None:
    tasks = await start(keyring, 5)
    database.answer = "identity"
    database.go.set()
    assert await asyncio.gather(*tasks) == ["identity"] * 5
    assert await keyring.find("AK") == "identity"
    assert database.asked == 1


async def test_an_outage_is_told_to_all_and_asked_again_after(
    keyring: Keyring, database: SlowDatabase
) -> None:
    tasks = await start(keyring, 3)
    database.answer = StoreUnavailable()
    database.go.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in told] == [StoreUnavailable] * 3
    database.answer = "identity"
    assert await keyring.find("AK") == "identity"
    assert database.asked == 2


async def test_the_others_go_on_when_who_asked_goes_away(
    keyring: Keyring, database: SlowDatabase
) -> None:
    first, second, third = await start(keyring, 3)
    first.cancel()
    await asyncio.wait([first])
    third.cancel()
    database.answer = "identity"
    database.go.set()
    assert await second == "identity"
    assert database.asked == 2
    assert first.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await third


async def test_what_was_asked_before_a_change_is_not_kept(
    keyring: Keyring, database: SlowDatabase
) -> None:
    before = await start(keyring, 2)
    keyring.forget()
    after = await start(keyring, 2)
    assert database.asked == 2
    database.answer = "identity"
    database.go.set()
    await asyncio.gather(*before, *after)
    assert await keyring.find("AK") == "identity"
    assert database.asked == 2
    keyring.forget()
    await keyring.find("AK")
    assert database.asked == 3
