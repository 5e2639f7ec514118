"""Parameters: bodies that no handler could make sense of are refused, with one clear message."""

from typing import Any

import pytest
import trafaret as t
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.faults import BadRequest, InvalidParams
from backendai.common.params import DEPTH_MAX, check_params, parse_json

TRAFARET = t.Dict(
    {
        t.Key("name"): t.String(max_length=10),
        t.Key("config", optional=True): t.Dict({t.Key("cpu"): t.Int(gte=1)}),
    }
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"a": 1, "a": 2}', "'a' is given more than once"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "'a' is given more than once"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e400}', "too large a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "nested more than"),
        (b"[" * 40 + b"]" * 40, "nested more than"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b'{"\\ud800": 1}', "surrogates"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": 1', "not JSON"),
        (b"a=1&b=2", "not JSON"),
        (b'{"a": 1} {"b": 2}', "not JSON"),
        (b'{"a": "b\nc"}', "not JSON"),
        (b"[" + b"1," * 200_000 + b"1]", "values"),
    ],
)
def test_odd_bodies_are_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        parse_json(body)
    assert len(caught.value.detail) <= 200


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "gr\xc3\xbc\xc3\x9fe", "b": [1, 2.5, null, true]}', None),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"-0", 0),
        (b"1e3", 1000.0),
        (b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1), None),
    ],
)
def test_sound_bodies_pass(body: bytes, value: Any) -> None:
    parsed = parse_json(body)
    assert value is None or parsed == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except BadRequest:
        return


def test_all_mistakes_are_told_at_once_by_field() -> None:
    with pytest.raises(InvalidParams) as caught:
        check_params({"config": {"cpu": 0}, "extra": 1}, TRAFARET)
    assert caught.value.detail == "Input validation error"
    assert set(caught.value.facts) == {"name", "config.cpu", "extra"}
    assert all(isinstance(message, str) for message in caught.value.facts.values())


@pytest.mark.parametrize("value", [None, [], {}, 3, "x" * 11, True])
def test_a_wrong_type_is_one_message(value: Any) -> None:
    with pytest.raises(InvalidParams) as caught:
        check_params({"name": value}, TRAFARET)
    assert list(caught.value.facts) == ["name"]
