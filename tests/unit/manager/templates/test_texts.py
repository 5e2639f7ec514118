"""Texts of templates: YAML that says what JSON could, and nothing that grows on its own."""

import json
import time

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.templates.texts import CHARS_MAX, read_documents, write_document


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: 1\nb: [x, null]\n", [{"a": 1, "b": ["x", None]}]),
        ("a: 1\n---\na: 2\n", [{"a": 1}, {"a": 2}]),
        ('{"a": "\\u00e9"}', [{"a": "é"}]),
        ("{a: b}", [{"a": "b"}]),
        ("day: 2026-01-31\n", [{"day": "2026-01-31"}]),
        ("", []),
        ("1: x\n", [{"1": "x"}]),
    ],
)
def test_what_json_could_say_is_read(text: str, values: list[object]) -> None:
    assert read_documents(text) == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\n", "line 2, column 1"),
        ("a: 1\na: 2\n", "'a' is given more than once"),
        ('{"a": 1, "a": 2}', "'a' is given more than once"),
        ("a: &x 1\nb: *x\n", "references"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("a: !!binary aGk=\n", "not JSON serializable"),
        ('a: "\\0"\n', "NUL"),
        ("a: .inf\n", "number"),
        ("? [a]\n: 1\n", ""),
        ("[" * 5000, ""),
        ("a: " + "9" * 5000, ""),
        ("---\n" * 40, "documents"),
        ("x" * (CHARS_MAX + 1), "longer"),
    ],
)
def test_what_json_could_not_say_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        read_documents(text)
    assert told in caught.value.facts["payload"]
    assert len(caught.value.facts["payload"]) <= 220


def test_the_longest_text_takes_no_long_time() -> None:
    text = "".join(f"k{index}: [a, b]\n" for index in range(CHARS_MAX // 20))[:CHARS_MAX]
    begun = time.process_time()
    read_documents(text)
    assert time.process_time() - begun < 5


def test_what_is_written_reads_back() -> None:
    value = {"b": "no", "a": ["é", None, 1.5, {"when": "2026-01-31"}], "t": "line 1\nline 2\n"}
    assert read_documents(write_document(value)) == [value]
    assert json.loads(json.dumps(value)) == value
