"""Times, durations and amounts in their short forms."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from backendai.client.cli.units import (
    show_age,
    show_amount,
    show_duration,
    show_moment,
    show_past,
    show_size,
    show_slots,
    show_span,
)

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (12, "12s"),
        (60, "1m"),
        (185, "3m 5s"),
        (7200, "2h"),
        (90000, "1d 1h"),
        (4 * 86400 + 59, "4d"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert show_duration(timedelta(seconds=seconds)) == text


def test_a_duration_may_have_one_unit() -> None:
    assert show_duration(timedelta(seconds=3725), units_max=1) == "1h"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (0.041, "0.04s"), (0.8, "0.8s"), (9, "9s"), (75.5, "1m 15s")]
)
def test_a_short_span_has_hundredths(seconds: float, text: str) -> None:
    assert show_span(timedelta(seconds=seconds)) == text


def test_a_moment_of_another_day_has_its_date() -> None:
    local = NOW.astimezone()
    assert show_moment(NOW.isoformat(), NOW) == local.strftime("%H:%M:%S")
    earlier = (NOW - timedelta(days=2)).isoformat()
    assert show_moment(earlier, NOW) == (local - timedelta(days=2)).strftime("%Y-%m-%d %H:%M")


def test_what_is_no_time_stays_as_it_is() -> None:
    assert [show_moment(text, NOW) for text in (None, "", "soon")] == ["-", "-", "soon"]
    assert show_past("soon", NOW) == "soon"
    assert show_age(None, NOW) == "-"


def test_a_past_moment_has_its_age() -> None:
    at = (NOW - timedelta(seconds=185)).isoformat()
    assert show_past(at, NOW).endswith(" (3m 5s ago)")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("268435456", "256m"),
        ("1073741824", "1g"),
        ("23934337024", "22.29g"),
        ("1288", "1.26k"),
        ("300", "300"),
        ("0", "0"),
        ("Infinity", "Infinity"),
    ],
)
def test_a_size_is_short(amount: str, text: str) -> None:
    assert show_size(Decimal(amount)) == text


def test_amounts_are_by_the_kind_of_slot() -> None:
    assert show_amount("mem", "1073741824") == "1g"
    assert show_amount("cpu", "0.5") == "0.5"
    assert show_amount("cuda.mem", "2048m") == "2g"
    assert show_amount("scope", "keypair") == "keypair"
    assert show_slots({"mem": "1g", "x": "3", "cpu": "2"}) == "cpu 2, mem 1g, x 3"
