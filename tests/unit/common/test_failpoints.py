"""Failpoints strike only when armed, at the passage they were armed for, and can all be listed."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.failpoints import (
    EVERY_TIME,
    FailpointReached,
    Mode,
    arm,
    arm_from_environment,
    disarm_all,
    failpoint,
    find_failpoints,
    hits,
)


@pytest.fixture(autouse=True)
def _nothing_stays_armed() -> Iterator[None]:
    yield
    disarm_all()


async def test_an_unarmed_one_does_nothing() -> None:
    await failpoint("quiet")
    assert hits("quiet") == 0


async def test_it_strikes_at_the_nth_passage_only() -> None:
    arm("third", Mode.RAISE, nth=3)
    await failpoint("third")
    await failpoint("third")
    with pytest.raises(FailpointReached, match="third"):
        await failpoint("third")
    await failpoint("third")
    assert hits("third") == 4


async def test_it_can_strike_every_time_until_disarmed() -> None:
    disarm = arm("each", Mode.RAISE, nth=EVERY_TIME)
    for _ in range(2):
        with pytest.raises(FailpointReached):
            await failpoint("each")
    disarm()
    await failpoint("each")


async def test_cancel_looks_like_a_cancelled_task() -> None:
    arm("cancel", Mode.CANCEL)
    with pytest.raises(asyncio.CancelledError):
        await failpoint("cancel")


async def test_hang_ends_only_by_cancellation() -> None:
    arm("hang", Mode.HANG)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await failpoint("hang")


async def test_an_own_action_is_awaited() -> None:
    seen: list[str] = []

    async def note() -> None:
        seen.append("struck")

    arm("own", note)
    await failpoint("own")
    assert seen == ["struck"]


def test_kill_ends_the_process_as_sigkill_does() -> None:
    pid = os.fork()
    if pid == 0:
        arm("kill", Mode.KILL)
        asyncio.run(failpoint("kill"))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


async def test_the_environment_arms_several() -> None:
    text = "a.b:raise, c:delay=0.01:2,d:hang:*"
    assert arm_from_environment({"BAI_FAILPOINTS": text}) == ["a.b", "c", "d"]
    with pytest.raises(FailpointReached):
        await failpoint("a.b")


@pytest.mark.parametrize("text", ["a", "a:explode", "a:raise:x", "a:delay=x"])
def test_a_bad_spec_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="is not `name:kill"):
        arm_from_environment({"BAI_FAILPOINTS": text})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "planted_package"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield_name = folder.name
    sys.modules.pop(yield_name, None)
    return folder


def test_all_names_are_found_in_source(package: Path) -> None:
    (package / "one.py").write_text('async def f():\n    await failpoint("x.one")\n')
    (package / "two.py").write_text(
        'async def g():\n    await failpoints.failpoint("x.two")\n    await failpoint("x.one")\n'
    )
    found = find_failpoints(["planted_package"])
    assert sorted(found) == ["x.one", "x.two"]
    assert len(found["x.one"]) == 2


def test_a_computed_name_is_refused(package: Path) -> None:
    (package / "one.py").write_text("async def f(n):\n    await failpoint(n)\n")
    with pytest.raises(ValueError, match=r"one\.py:2"):
        find_failpoints(["planted_package"])
