"""What people write after options."""

import click
import pytest

from backendai.client.cli.options import (
    read_amount,
    read_duration,
    read_limit,
    read_mount,
    read_pair,
    read_size,
    read_size_limit,
    read_time_limit,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("2D", 172800)]
)
def test_durations_are_whole_seconds(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-5s", "5 m", "0.2s", "1w"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90s, 5m or 1h"):
        read_duration(text)


def test_pairs_keep_further_equals_signs() -> None:
    assert read_pair("A=b=c") == ("A", "b=c")
    assert read_pair("A=") == ("A", "")


@pytest.mark.parametrize("text", ["A", "=b", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        read_pair(text)


def test_amounts_are_checked_by_their_slot() -> None:
    assert read_amount("mem=1.5g") == ("mem", "1.5g")
    assert read_amount("cpu=0.5") == ("cpu", "0.5")


@pytest.mark.parametrize("text", ["mem=lots", "cpu=2g", "cpu=-1", "cpu"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        read_amount(text)


def test_sizes_stay_as_written() -> None:
    assert read_size("64m") == "64m"
    with pytest.raises(click.BadParameter, match="no size"):
        read_size("64x")


def test_limits_may_be_none() -> None:
    assert (read_limit("0"), read_limit("7"), read_limit("none")) == (0, 7, -1)
    assert (read_size_limit("1k"), read_size_limit("none")) == (1024, -1)
    assert (read_time_limit("2h"), read_time_limit("none")) == (7200, 0)
    for wrong in ("-1", "many", "", "1.5"):
        with pytest.raises(click.BadParameter, match="or none"):
            read_limit(wrong)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("data", ("data", None, None)),
        ("data:ro", ("data", None, "ro")),
        ("data/sub:/mnt/x", ("data/sub", "/mnt/x", None)),
        ("data:work/x:rw", ("data", "work/x", "rw")),
        ("data=/mnt/x", ("data", "/mnt/x", None)),
    ],
)
def test_a_mount_is_read(text: str, mount: tuple[str, str | None, str | None]) -> None:
    assert read_mount(text) == mount


@pytest.mark.parametrize("text", ["", ":/x", "data:/x:all"])
def test_a_mount_without_sense_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        read_mount(text)
