"""The log's rotation, and the flow of output from pipes to a run."""

import asyncio
import os
from pathlib import Path

import pytest

from backendai.kernel.runner import console
from backendai.kernel.runner.console import ConsoleLog, Funnel, make_pipe
from backendai.kernel.runner.runs import BUFFER_BYTES_MAX, Run


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_log_rotates_and_keeps_one_old_file(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "log" / "console.log", bytes_max=10)
    log.write(b"0123456")
    assert read(tmp_path / "log") == {"console.log": b"0123456"}
    log.write(b"789abc")
    assert read(tmp_path / "log") == {"console.log.1": b"0123456789", "console.log": b"abc"}
    log.write(b"x" * 25)
    assert read(tmp_path / "log") == {"console.log.1": b"x" * 10, "console.log": b"x" * 8}


def test_a_new_runner_goes_on_in_the_old_log(tmp_path: Path) -> None:
    for piece in (b"0123456", b"789abc"):
        ConsoleLog(tmp_path / "console.log", bytes_max=10).write(piece)
    assert read(tmp_path) == {"console.log.1": b"0123456789", "console.log": b"abc"}


def test_the_log_is_readable_and_no_link_is_followed(tmp_path: Path) -> None:
    ConsoleLog(tmp_path / "console.log").write(b"1")
    assert (tmp_path / "console.log").stat().st_mode & 0o777 == 0o644
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link.log").symlink_to(tmp_path / "target")
    ConsoleLog(tmp_path / "link.log").write(b"1")
    assert (tmp_path / "target").read_bytes() == b""


def test_a_log_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    log = ConsoleLog(tmp_path / "log" / "console.log")
    log.write(b"1")
    log.write(b"2")
    assert len(caplog.records) == 1


async def test_output_goes_to_the_log_and_to_the_bound_run(tmp_path: Path) -> None:
    funnel = Funnel(ConsoleLog(tmp_path / "console.log"))
    reading, writing = make_pipe()
    funnel.tap(reading, "stdout")
    os.write(writing, b"before ")
    funnel.drain()
    run = Run("r")
    funnel.bind(run)
    os.write(writing, b"during ")
    funnel.drain()
    funnel.bind(None)
    os.write(writing, b"after")
    funnel.drain()
    funnel.close()
    os.close(writing)
    assert (tmp_path / "console.log").read_bytes() == b"before during after"
    assert (await run.next_reply(0, None)).console == [("stdout", "during ")]


async def test_a_full_run_closes_the_funnel_until_it_is_fetched(tmp_path: Path) -> None:
    funnel = Funnel(ConsoleLog(tmp_path / "console.log"))
    run = Run("r")
    funnel.bind(run)
    funnel.feed("stdout", b"x" * BUFFER_BYTES_MAX)
    assert not funnel.open.is_set()
    await run.next_reply(0, None)
    assert funnel.open.is_set()


async def test_a_run_that_nobody_fetches_opens_the_funnel_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "ABANDONED_SECONDS", 0.0)
    funnel = Funnel(ConsoleLog(tmp_path / "console.log"))
    run = Run("r")
    funnel.bind(run)
    funnel.feed("stdout", b"x" * BUFFER_BYTES_MAX)
    async with asyncio.timeout(5):
        await funnel.open.wait()
    funnel.feed("stdout", b"tail")
    assert funnel.open.is_set()
    assert (tmp_path / "console.log").read_bytes().endswith(b"tail")
    assert (await run.next_reply(0, None)).console[-1][0] == "stderr"
