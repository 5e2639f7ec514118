"""A run as its asker sees it: what is due when, in which order, and what of lost replies."""

import asyncio

import pytest

from backendai.kernel.runner import runs
from backendai.kernel.runner.runs import Refusal, Run, RunBook
from backendai.kernel.wire import Reply, encode_frame


async def take(run: Run, after: int | None = None) -> tuple[str, list[object]]:
    reply = await run.next_reply(0, after)
    return reply.status, list(reply.console)


async def test_adjacent_output_of_a_stream_is_joined() -> None:
    run = Run("r")
    for kind, data in [("stdout", b"a"), ("stdout", b"b"), ("stderr", b"c"), ("stdout", b"d")]:
        run.write(kind, data)
    assert await take(run) == (
        "continued",
        [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")],
    )


async def test_a_character_cut_in_two_is_put_together() -> None:
    run = Run("r")
    snowman = "☃".encode()
    run.write("stdout", snowman[:1])
    assert await take(run) == ("continued", [])
    run.write("stdout", snowman[1:])
    assert await take(run) == ("continued", [("stdout", "☃")])


async def test_what_stays_cut_is_shown_at_the_end() -> None:
    run = Run("r")
    run.write("stdout", b"\xe2\x98")
    run.mark("finished", 0)
    assert await take(run) == ("finished", [("stdout", "�")])


async def test_each_stage_is_a_reply_of_its_own() -> None:
    run = Run("r")
    run.write("stdout", b"c")
    run.mark("clean-finished", 0)
    run.mark("build-finished", 2)
    run.mark("finished", 127)
    got = [await run.next_reply(0, None) for _ in range(3)]
    assert [(reply.status, reply.exit_code) for reply in got] == [
        ("clean-finished", 0),
        ("build-finished", 2),
        ("finished", 127),
    ]
    assert [reply.sequence for reply in got] == [1, 2, 3]


async def test_a_waiting_asker_is_answered_as_soon_as_the_run_ends() -> None:
    run = Run("r")
    asker = asyncio.create_task(run.next_reply(60, None))
    await asyncio.sleep(0)
    run.mark("finished", 0)
    assert (await asyncio.wait_for(asker, 5)).status == "finished"


async def test_much_output_is_due_early() -> None:
    run = Run("r")
    run.write("stdout", b"x" * runs.EARLY_REPLY_BYTES)
    reply = await asyncio.wait_for(run.next_reply(60, None), 5)
    assert reply.status == "continued"


async def test_a_full_run_says_when_it_has_room() -> None:
    told: list[bool] = []
    run = Run("r", on_room=lambda: told.append(True))
    run.write("stdout", b"x" * runs.BUFFER_BYTES_MAX)
    before = run.is_full
    await run.next_reply(0, None)
    assert (before, run.is_full, told) == (True, False, [True])


async def test_a_reply_is_bounded() -> None:
    run = Run("r")
    half = "x" * (runs.REPLY_BYTES_MAX // 2 + 1)
    run.show("html", half)
    run.show("html", half)
    run.mark("finished", 0)
    assert [len((await run.next_reply(0, None)).console) for _ in range(2)] == [1, 1]


async def test_many_small_items_fill_a_run_too() -> None:
    run = Run("r")
    for _ in range(runs.BUFFER_BYTES_MAX // (2 * runs.ITEM_BYTES)):
        run.write("stdout", b"o")
        run.write("stderr", b"e")
    assert run.is_full


async def test_a_reply_of_wide_characters_fits_a_frame() -> None:
    run = Run("r")
    while not run.is_full:
        run.write("stdout", "\N{SNOWMAN}".encode() * 20_000)
    reply = await run.next_reply(0, None)
    assert len(encode_frame(Reply(1, reply))) < runs.BUFFER_BYTES_MAX + 100_000


async def test_a_question_stays_until_it_is_answered() -> None:
    answers: list[str] = []
    run = Run("r")
    run.ask(is_password=True, on_answer=answers.append)
    for _ in range(2):
        reply = await run.next_reply(0, None)
        assert (reply.status, reply.options) == ("waiting-input", {"is_password": True})
    run.answer("yes")
    assert answers == ["yes"]
    assert await take(run) == ("continued", [])
    with pytest.raises(Refusal, match="does not wait"):
        run.answer("again")


async def test_a_question_answered_before_it_was_fetched_is_gone() -> None:
    run = Run("r")
    run.ask(is_password=False, on_answer=lambda text: None)
    run.withdraw_question()
    run.mark("finished", 130)
    assert await take(run) == ("finished", [])


async def test_the_last_reply_is_given_again_when_it_was_lost() -> None:
    run = Run("r")
    run.write("stdout", b"a")
    assert await take(run) == ("continued", [("stdout", "a")])
    assert await take(run, after=0) == ("continued", [("stdout", "a")])
    assert await take(run, after=1) == ("continued", [])


async def test_an_ended_run_goes_on_answering_its_end() -> None:
    run = Run("r")
    run.write("stdout", b"a")
    run.mark("finished", 3)
    first = await run.next_reply(0, None)
    assert await run.next_reply(0, None) == first


async def test_a_run_ends_once() -> None:
    run = Run("r")
    run.mark("exec-timeout", 124)
    run.write("stdout", b"late")
    run.mark("finished", 0)
    assert await take(run) == ("exec-timeout", [])


async def test_output_that_nobody_fetched_is_left_out_and_said_so() -> None:
    run = Run("r")
    run.write("stdout", b"a")
    run.skip()
    run.write("stdout", b"lost")
    assert await take(run) == ("continued", [("stdout", "a"), ("stderr", runs.SKIP_NOTICE)])
    run.write("stdout", b"b")
    assert await take(run) == ("continued", [("stdout", "b")])


async def test_the_book_forgets_old_ended_runs_and_bounds_waiting_ones() -> None:
    book = RunBook()
    for number in range(runs.ENDED_RUNS_KEPT + 5):
        run = Run(f"r{number}")
        book.begin(run)
        run.mark("finished", 0)
        book.queue.get_nowait()
    book.begin(Run("new"))
    assert book.find("r0") is None
    assert book.get(f"r{runs.ENDED_RUNS_KEPT + 4}").ended
    with pytest.raises(Refusal, match="r0"):
        book.get("r0")
    for number in range(runs.WAITING_RUNS_MAX - 1):
        book.begin(Run(f"w{number}"))
    with pytest.raises(Refusal) as caught:
        book.begin(Run("one too many"))
    assert caught.value.code == "busy"
