"""The arithmetic of the bench: ratios of rounds, verdicts, and what a table says."""

import io
import json

import pytest

from tests.bench.harness import (
    LOAD_MAX,
    CpuMeter,
    Rounds,
    Row,
    interleave,
    per_operation,
    print_json,
    print_table,
    show_seconds,
)


def test_the_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    # A burst of load slows both sides of one round: the ratio of that round stays what it is.
    rounds = Rounds(ours=(1.0, 10.0, 3.0), peer=(1.0, 5.0, 1.0))
    assert rounds.ratio == 2.0


def test_sides_take_turns_in_going_first() -> None:
    said: list[str] = []

    def side(name: str) -> float:
        said.append(name)
        return 1.0

    interleave(lambda: side("ours"), lambda: side("peer"), 2, warm=0)
    assert said == ["peer", "ours", "ours", "peer"]


@pytest.mark.parametrize(
    ("value", "is_floor", "load", "verdict"),
    [
        (1.0, False, 0.0, "met"),
        (1.1, False, 0.0, "MISSED"),
        (1.1, True, 0.0, "met"),
        (0.9, True, 0.0, "MISSED"),
        (0.5, False, LOAD_MAX + 1, "inconclusive"),
    ],
)
def test_verdicts(value: float, is_floor: bool, load: float, verdict: str) -> None:
    row = Row("G0", "something", value, 1.0, is_floor=is_floor, load=load)
    assert row.verdict == verdict


def test_a_figure_without_a_goal_has_no_verdict() -> None:
    assert Row("", "something", 3.0, None).verdict == "-"


def test_per_operation_divides_by_the_count() -> None:
    calls: list[int] = []
    per_operation(lambda: calls.append(1), 7)()
    assert len(calls) == 7


def test_processor_time_is_counted_for_each_tree() -> None:
    import psutil

    meter = CpuMeter({"me": [psutil.Process()]})
    while meter.milliseconds_per(1)["me"] < 10:
        sum(range(10_000))
    assert meter.milliseconds_per(10)["me"] >= 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(2.0, "2.00 s"), (0.0123, "12.3 ms"), (0.0000456, "45.6 us")]
)
def test_times_are_shown_in_the_unit_that_reads_best(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


def test_table_and_json_tell_the_same() -> None:
    rows = [Row("G1a", "create", 1.5, 1.15, ours="3 ms", peer="2 ms", load=0.0)]
    table, text = io.StringIO(), io.StringIO()
    print_table(rows, table)
    print_json(rows, text)
    for word in ("G1a", "create", "1.50 x", "<= 1.15 x", "MISSED"):
        assert word in table.getvalue()
    [row] = json.loads(text.getvalue())["rows"]
    assert (row["goal"], row["value"], row["verdict"]) == ("G1a", 1.5, "MISSED")
