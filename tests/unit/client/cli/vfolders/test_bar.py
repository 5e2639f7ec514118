"""The line that tells how far copying is."""

import pytest

from backendai.client.cli.vfolders.bar import Bar, format_progress, show_sum
from backendai.client.vfolders.moving import Progress

HALF = Progress("a/b.bin", 1 << 20, 2 << 20, 5 << 20, 10 << 20, 3, 7)


def test_a_line_has_share_files_bytes_rate_and_what_is_left() -> None:
    line = format_progress(HALF, rate=float(1 << 20))
    assert line == "████████░░░░░░░░  50%  3/7 files  5m of 10m  1m/s  5s left  a/b.bin"


def test_without_a_rate_nothing_is_foretold() -> None:
    assert format_progress(HALF, rate=0.0).endswith("5m of 10m  a/b.bin")


def test_empty_files_are_all_of_nothing() -> None:
    assert "100%" in format_progress(Progress("e", 0, 0, 0, 0, 1, 1), rate=0.0)


def test_a_program_that_reads_gets_a_path_for_each_whole_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = Bar()
    for files_done, path in ((0, "a"), (1, "a"), (1, "b"), (2, "b\x1b")):
        bar.on_progress(Progress(path, 0, 0, 0, 0, files_done, 2))
    bar.clear()
    told = capsys.readouterr()
    assert (told.out, told.err) == ("a\nb \n", "")


def test_the_sum_has_a_rate_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    show_sum(1, 0, 0.5)
    show_sum(2, 3 << 20, 1.5)
    assert capsys.readouterr().err == "1 file, 0\n2 files, 3m, 2m/s\n"
