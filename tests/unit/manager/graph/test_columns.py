"""What values of filters become, and which are refused."""

import uuid
from datetime import UTC, datetime

import pytest

from backendai.common.enums import UserRole, UserStatus
from backendai.manager.graph import columns

REFUSED = (ValueError, TypeError, KeyError, OverflowError)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-01",
        "2023-02-01T00:00:00",
        "2023-02-01T09:00:00+09:00",
        "2023/02/01",
        "2023/02/01 00:00",
        "Feb 1 2023",
        "Feb 1, 2023",
        "1 Feb 2023",
        "02/01/2023",
        "Wed, 01 Feb 2023 00:00:00 GMT",
        " 20230201 ",
    ],
)
def test_times_are_read_freely(text: str) -> None:
    assert columns.time(text) == datetime(2023, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "soon", 5, None, True, "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(REFUSED):
        columns.time(value)


def test_whole_numbers_fit_their_columns() -> None:
    assert columns.integer(3.0) == 3
    assert columns.integer(-(2**31) + 1)
    assert columns.big_integer(2**40) == 2**40
    for value in (1.5, 2**31, True, "3", None, float("inf"), float("nan")):
        with pytest.raises(REFUSED):
            columns.integer(value)


def test_words_are_names_or_values_in_any_case() -> None:
    read = columns.word_of(UserStatus)
    for text in ("BEFORE_VERIFICATION", "before-verification", "Before-Verification"):
        assert read(text) == "before-verification"
    assert columns.word_of(UserRole)("SuperAdmin") == "superadmin"
    for value in ("flying", 1, None):
        with pytest.raises(REFUSED):
            read(value)


def test_plain_values() -> None:
    assert columns.identifier(str(uuid.UUID(int=1))) == uuid.UUID(int=1)
    assert columns.boolean(False) is False
    for read, value in ((columns.identifier, "x"), (columns.boolean, 1), (columns.text, 1)):
        with pytest.raises(REFUSED):
            read(value)
