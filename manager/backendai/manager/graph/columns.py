"""PURE: what the values of filters may be: each reader makes what the database compares from one.

Readers raise ValueError, TypeError, KeyError or OverflowError for what cannot be compared.
"""

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

INT4_MAX: Final = 2**31 - 1
INT8_MAX: Final = 2**63 - 1
# Besides ISO 8601 and the form of mail headers.
_TIME_FORMS: Final = (
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%b %d %Y",
    "%b %d, %Y",
    "%b %d %Y %H:%M",
    "%d %b %Y",
    "%d %b %Y %H:%M",
    "%m/%d/%Y",
)


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def integer(value: object, most: int = INT4_MAX) -> int:
    """A whole number that fits into four bytes, or up to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    if value != int(value) or abs(value) > most:
        raise ValueError(value)
    return int(value)


def big_integer(value: object) -> int:
    return integer(value, INT8_MAX)


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def time(value: object) -> datetime:
    """A moment; UTC where nothing else is said."""
    at = _parse_time(text(value).strip())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _parse_time(told: str) -> datetime:
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        pass
    for form in _TIME_FORMS:
        try:
            return datetime.strptime(told, form)  # noqa: DTZ007 - the caller adds the zone
        except ValueError:
            continue
    return parsedate_to_datetime(told)


def identifier(value: object) -> uuid.UUID:
    return uuid.UUID(text(value))


def word_of(kind: type[enum.StrEnum]) -> Callable[[object], str]:
    """Reads the name or the value of an enumeration, in any case."""
    known = {word.name.lower(): word.value for word in kind}
    known |= {word.value.lower(): word.value for word in kind}
    return lambda value: known[text(value).lower()]
