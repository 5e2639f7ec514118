"""Lines for prompts: as they come, one at a time, from whatever stdin is."""

import asyncio
import os
import pty
import termios
from pathlib import Path

from backendai.client.cli.terminal import LineReader, _without_echo


async def test_lines_come_one_at_a_time_and_what_is_left_is_kept() -> None:
    reading, writing = os.pipe()
    reader = LineReader(reading)
    first = asyncio.ensure_future(reader.read_line())
    os.write(writing, b"o")
    await asyncio.sleep(0)
    assert not first.done()
    os.write(writing, "ne\ntwö\nthr".encode())
    assert await first == "one"
    assert await reader.read_line() == "twö"
    os.close(writing)
    assert await reader.read_line() == "thr"
    assert await reader.read_line() == ""
    os.close(reading)


async def test_a_regular_file_is_read_though_no_loop_can_watch_it(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("one\ntwo\n")
    with (tmp_path / "lines").open() as file:
        reader = LineReader(file.fileno())
        assert [await reader.read_line() for _ in range(3)] == ["one", "two", ""]


async def test_waiting_for_a_line_can_be_given_up() -> None:
    reading, writing = os.pipe()
    reader = LineReader(reading)
    waiting = asyncio.ensure_future(reader.read_line())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    os.write(writing, b"later\n")
    assert await reader.read_line() == "later"
    os.close(reading)
    os.close(writing)


def test_a_password_is_not_shown_and_echo_comes_back() -> None:
    ours, theirs = pty.openpty()

    def echoes() -> bool:
        return bool(termios.tcgetattr(theirs)[3] & termios.ECHO)

    assert echoes()
    with _without_echo(theirs):
        assert not echoes()
    assert echoes()
    os.close(ours)
    os.close(theirs)
