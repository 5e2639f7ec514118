"""Tables, JSON and CSV."""

import csv
import json
from typing import Any

import pytest

from backendai.client.cli.render import cell, cut, fit_widths, format_rows, show_lines, show_object

ROWS: list[dict[str, Any]] = [
    {"name": "a", "status_info": None, "more": 1},
    {"name": "longer, name", "status_info": "x\x1b[31m\ny", "more": {"k": [1]}},
]
COLUMNS = ("name", "status_info", "more")


def test_a_table_is_aligned_and_headed() -> None:
    lines = list(format_rows(ROWS, COLUMNS, "table"))
    assert lines[0] == "NAME          STATUS INFO  MORE"
    assert lines[1] == "a             -            1"
    assert lines[2].startswith("longer, name  x [31m y")


def test_a_table_has_no_control_characters() -> None:
    text = "".join(format_rows(ROWS, COLUMNS, "table"))
    assert text.isprintable()


def test_json_keeps_values_and_the_order_of_columns() -> None:
    (text,) = format_rows(ROWS, ("more", "name"), "json")
    assert json.loads(text) == [
        {"more": 1, "name": "a"},
        {"more": {"k": [1]}, "name": "longer, name"},
    ]
    assert list(json.loads(text)[0]) == ["more", "name"]


def test_csv_is_read_back() -> None:
    lines = list(format_rows(ROWS, ("name", "more"), "csv"))
    assert list(csv.reader(lines)) == [["name", "more"], ["a", "1"], ["longer, name", '{"k": [1]}']]


def test_no_rows_still_have_a_head() -> None:
    assert list(format_rows([], ("name",), "table")) == ["NAME"]
    assert list(format_rows([], ("name",), "csv")) == ["name"]
    assert list(format_rows([], ("name",), "json")) == ["[]"]


def test_an_object_is_shown_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"status": "RUNNING", "age": 5}
    show_object(facts, "table")
    assert capsys.readouterr().out == "status  RUNNING\nage     5\n"
    show_object(facts, "json")
    assert json.loads(capsys.readouterr().out) == facts
    show_object(facts, "csv")
    assert capsys.readouterr().out == "status,age\nRUNNING,5\n"


def test_cells_show_nothing_as_a_dash() -> None:
    assert [cell(value) for value in (None, "", 0, [1])] == ["-", "", "0", "[1]"]


def test_lines_have_their_texts_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    show_lines([("need", "cpu 1"), ("", "mem 1g\x1b[2J"), ("a longer", "x")], indent=2)
    out = capsys.readouterr().out
    assert out == "  need      cpu 1\n            mem 1g [2J\n  a longer  x\n"
    show_lines([])
    assert capsys.readouterr().out == ""


def test_the_widest_columns_give_way_until_the_line_fits() -> None:
    assert fit_widths([4, 30, 10], 30) == [4, 16, 10]
    assert fit_widths([4, 30, 30], 10) == [4, 4, 4]
    assert fit_widths([4, 5], 80) == [4, 5]


def test_what_is_cut_says_so() -> None:
    assert [cut("abcdef", width) for width in (6, 5, 1)] == ["abcdef", "abcd…", "…"]
