"""Many at a time, and no more."""

import asyncio
from collections.abc import Callable

import pytest

from backendai.client.vfolders.moving import Move, Progress, for_each, run_moves


async def test_so_many_and_no_more_run_at_a_time() -> None:
    running, most = 0, 0

    async def work(_item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await for_each(range(20), work, parallel=3)
    assert most == 3


async def test_the_first_failure_is_raised_and_ends_the_others() -> None:
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise LookupError("one")
        await asyncio.Event().wait()

    with pytest.raises(LookupError, match="one"):
        await for_each(range(20), work, parallel=2)
    assert begun == [0, 1]


async def test_progress_adds_up_also_when_a_file_begins_anew() -> None:
    async def run(on_bytes: Callable[[int], None]) -> None:
        for done in (4, 2, 8):
            on_bytes(done)

    told: list[Progress] = []
    moves = [Move("a", 8, run), Move("b", 8, run)]
    await run_moves(moves, parallel=1, on_progress=told.append)
    assert [each.all_done for each in told] == [4, 2, 8, 8, 12, 10, 16, 16]
    assert [each.files_done for each in told] == [0, 0, 0, 1, 1, 1, 1, 2]
    assert {(each.all_size, each.files) for each in told} == {(16, 2)}
