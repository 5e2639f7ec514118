"""What goes into an execution, and what is put together from it."""

import json
from collections.abc import AsyncIterator

from backendai.client.execution import collect, first_frame
from backendai.client.results import Batch, Result, Step


async def play(*steps: Step) -> AsyncIterator[Step]:
    for step in steps:
        yield step


async def test_a_result_joins_texts_by_stream_and_keeps_media_apart() -> None:
    image = ["image/png", "iVBO"]
    result = await collect(
        play(
            Step("continued", [("stdout", "a"), ("stderr", "!")]),
            Step("continued", [("media", image), ("stdout", "b\n")]),
            Step("finished", exit_code=1),
        )
    )
    assert result == Result(1, "ab\n", "!", (("media", image),))


async def test_no_exit_code_at_the_end_is_success() -> None:
    assert (await collect(play(Step("finished")))).exit_code == 0


def test_code_is_a_query() -> None:
    frame = json.loads(first_frame("print(1)", None))
    assert frame == {"mode": "query", "code": "print(1)", "options": {}}


def test_commands_are_a_batch_and_left_out_steps_are_null() -> None:
    frame = json.loads(first_frame("", Batch(build="make", exec="./a.out")))
    assert frame["mode"] == "batch"
    assert frame["options"] == {
        "clean": None,
        "build": "make",
        "buildLog": False,
        "exec": "./a.out",
    }
