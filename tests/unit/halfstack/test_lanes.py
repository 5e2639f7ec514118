"""Programs beside each other: how many, what they print, and what an interruption does."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backendai.halfstack.lanes import Lanes, Program
from tests.running.waiting import until

Make = Callable[..., Program]

_PRELUDE = """\
import time
from pathlib import Path

def wait_for(name):
    deadline = time.monotonic() + 30
    while not Path(name).exists():
        assert time.monotonic() < deadline, f'no {name}'
        time.sleep(0.01)

"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A Python program that runs in an empty folder and can `wait_for` a file there."""

    def program(title: str, *lines: str, is_patient: bool = False) -> Program:
        text = _PRELUDE + "\n".join(lines)
        argv = [sys.executable, "-c", text]
        return Program(title, argv, tmp_path, dict(os.environ), is_patient)

    return program


async def run_all(count: int, *programs: Program) -> list[int]:
    lanes = Lanes(count)
    return [ended.code for ended in await asyncio.gather(*map(lanes.run, programs))]


async def test_two_run_beside_each_other_and_print_apart(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    first = make(
        "a", "print('a1', flush=True)", "Path('a').touch()", "wait_for('b')", "print('a2')"
    )
    second = make("b", "wait_for('a')", "print('b1', flush=True)", "Path('b').touch()")
    assert await run_all(2, first, second) == [0, 0]
    said = capfd.readouterr().out
    assert "a1\na2\n" in said
    assert said.index("── a begins") < said.index("── b ended") < said.index("b1")


async def test_with_one_lane_the_second_waits_for_the_end_of_the_first(make: Make) -> None:
    first = make("a", "assert not Path('b').exists()", "Path('a').touch()")
    second = make("b", "Path('b').touch()", "assert Path('a').exists()")
    assert await run_all(1, first, second) == [0, 0]


async def test_a_third_waits_for_a_lane(make: Make) -> None:
    first = make("a", "wait_for('b')", "assert not Path('c').exists()", "Path('a').touch()")
    second = make("b", "Path('b').touch()", "wait_for('a')")
    third = make("c", "Path('c').touch()", "assert Path('a').exists()")
    assert await run_all(2, first, second, third) == [0, 0, 0]


async def test_a_patient_one_takes_no_lane_and_is_put_back(make: Make) -> None:
    first, second = (make(name, "wait_for('done')") for name in "ab")
    patient = make(
        "c",
        "import os",
        "deadline = time.monotonic() + 30",
        "while os.getpriority(os.PRIO_PROCESS, 0) < 10:",
        "    assert time.monotonic() < deadline",
        "Path('done').touch()",
        is_patient=True,
    )
    assert await run_all(2, first, second, patient) == [0, 0, 0]


async def test_an_exit_code_is_told(make: Make) -> None:
    assert await run_all(2, make("a", "raise SystemExit(3)")) == [3]


async def test_an_interruption_lets_a_program_tidy_up(
    make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = make(
        "a",
        "try:",
        "    Path('begun').touch()",
        "    time.sleep(60)",
        "except KeyboardInterrupt:",
        "    print('tidied up')",
    )
    running = asyncio.create_task(Lanes(2).run(program))
    await asyncio.to_thread(until, (tmp_path / "begun").exists, "it began")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "tidied up" in capfd.readouterr().out
