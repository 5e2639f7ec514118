"""PURE: how long something is kept, as operators write it."""

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

RULE: Final = "write a number with h, d, w, mo or yr, such as 30d or 2mo"
_TEXT: Final = re.compile(r"([1-9]\d{0,4})\s*(h|d|w|mo|yr)", re.ASCII)
_MONTHS: Final = {"mo": 1, "yr": 12}
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True, slots=True)
class Retention:
    """Calendar months, or a fixed time."""

    months: int = 0
    time: timedelta = timedelta()

    def cutoff(self, now: datetime) -> datetime:
        """What ended before this is kept no longer: the same day and time some months ago, or the
        last day of that month where it is shorter. Raises ValueError before the year 1."""
        month = now.year * 12 + now.month - 1 - self.months
        year, month = month // 12, month % 12 + 1
        if year < 1:
            raise ValueError("no calendar reaches back so far")
        day = min(now.day, calendar.monthrange(year, month)[1])
        return now.replace(year=year, month=month, day=day) - self.time


def parse_retention(text: str) -> Retention:
    """Raises ValueError with the rule."""
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(RULE)
    count, unit = int(match[1]), match[2]
    if unit in _MONTHS:
        return Retention(months=count * _MONTHS[unit])
    return Retention(time=timedelta(hours=count * _HOURS[unit]))
