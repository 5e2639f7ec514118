"""How long something is kept."""

from datetime import UTC, datetime

import pytest

from backendai.manager.retention.model import parse_retention

NOW = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "cutoff"),
    [
        ("12h", datetime(2026, 3, 31, 0, 30, tzinfo=UTC)),
        ("30d", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        (" 2W ", datetime(2026, 3, 17, 12, 30, tzinfo=UTC)),
        ("1mo", datetime(2026, 2, 28, 12, 30, tzinfo=UTC)),
        ("25mo", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("1yr", datetime(2025, 3, 31, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_cutoff_is_that_long_ago(text: str, cutoff: datetime) -> None:
    assert parse_retention(text).cutoff(NOW) == cutoff


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "1m", "1.5mo", "2 months", "mo", "1d2h"])
def test_what_is_no_time_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="write a number with h, d, w, mo or yr"):
        parse_retention(text)


def test_no_calendar_reaches_before_its_beginning() -> None:
    with pytest.raises(ValueError, match="calendar"):
        parse_retention("9999yr").cutoff(NOW)
    with pytest.raises(OverflowError):
        parse_retention("99999w").cutoff(NOW.replace(year=1000))
