"""Names, variables, ports and times that users write."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from backendai.manager.sessions import names

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["a", "ab", "a" * 64, "my-session.1", "_x_", "0"])
def test_good_names_are_kept(text: str) -> None:
    assert names.check_name(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", "..", "-rf", "a-", "a" * 65, "a b", "a\n", "é", "a\u202eb", "a/b", "a;b"]
)
def test_bad_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        names.check_name(text)


@pytest.mark.parametrize("char", ["a", "-", ".", "é", " "])
def test_long_texts_are_refused_quickly(char: str) -> None:
    began = time.perf_counter()
    for check in (names.check_name, names.check_image_name):
        with pytest.raises(ValueError):
            check(char * 65536)
    with pytest.raises(ValueError):
        names.parse_start("1" * 65536, NOW)
    assert time.perf_counter() - began < 0.3


def test_start_times_are_absolute_or_spans() -> None:
    assert names.parse_start("1h30m", NOW) == NOW + timedelta(minutes=90)
    assert names.parse_start("2d", NOW) == NOW + timedelta(days=2)
    assert names.parse_start("2026-01-02T00:00:00", NOW) == NOW + timedelta(days=1)
    aware = names.parse_start("2026-01-01T09:00:00+09:00", NOW)
    assert aware == NOW


@pytest.mark.parametrize("text", ["", "soon", "1y", "9999-01-01T00:00:00", "99999d"])
def test_odd_start_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        names.parse_start(text, NOW)


def test_ports_are_numbers_or_their_text() -> None:
    assert names.check_ports(["10001", 10002]) == (10001, 10002)
    for bad in ([True], ["1e4"], ["１０００１"], [1023], [65536], list(range(2000, 2017))):
        with pytest.raises(ValueError):
            names.check_ports(list(bad))


def test_variables_that_load_code_are_refused() -> None:
    assert names.check_environ({"PATH": "/bin", "A_1": "x\ny"})
    for name in ("LD_PRELOAD", "A=B", "1A", "A B", "", "é"):
        with pytest.raises(ValueError):
            names.check_environ({name: "x"})


@pytest.mark.parametrize(
    "text",
    ["http://u:p@host/", "ftp://host", "//host", "http://", "x" * 10, "http://h/" + "x" * 3000],
)
def test_odd_callbacks_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        names.check_callback(text)


def test_an_image_of_no_registry_may_be_written_as_web_uis_do() -> None:
    assert names.check_image_name("/bai/python:3.11") == "bai/python:3.11"
    for bad in ("//bai/python:3.11", "/", "a/../b", "a//b"):
        with pytest.raises(ValueError, match="registry/project/name:tag"):
            names.check_image_name(bad)
