"""What people write about accounts, checked and in the form of the tables. PURE.

A reader takes a value and gives the stored one, or raises ValueError with what is allowed.
"""

import enum
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from backendai.common.enums import HostPermission
from backendai.common.faults import BadRequest, InvalidParams
from backendai.common.params import parse_json
from backendai.common.slots import ResourceSlots

Read = Callable[[Any], Any]

NAME_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 4096
LIST_ITEMS_MAX: Final = 256
RATE_LIMIT_MAX: Final = 1_000_000_000
INT4_MAX: Final = 2**31 - 1
INT8_MAX: Final = 2**63 - 1
_SLUG: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def read_fields(given: Mapping[str, Any], reads: Mapping[str, Read]) -> dict[str, Any]:
    """The checked values of the fields in `reads` that are given; null says nothing.

    Raises InvalidParams with all problems at once, by field.
    """
    values, problems = {}, {}
    for name, read in reads.items():
        if given.get(name) is None:
            continue
        try:
            values[name] = read(given[name])
        except (ValueError, BadRequest) as error:
            problems[name] = str(error)
    if problems:
        raise InvalidParams("", problems)
    return values


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def slug(value: Any) -> str:
    if len(value) > NAME_CHARS_MAX or not _SLUG.fullmatch(value):
        raise ValueError(
            f"{value[:NAME_CHARS_MAX]!r} is no name: write at most {NAME_CHARS_MAX} letters,"
            " digits, dots, dashes and underscores; it begins and ends with a letter or digit"
        )
    return str(value)


def line(value: Any) -> str:
    """One line of text."""
    if len(value) > NAME_CHARS_MAX or not value.isprintable():
        raise ValueError(f"write one line of at most {NAME_CHARS_MAX} characters")
    return str(value)


def filled_line(value: Any) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return line(value)


def text(value: Any) -> str:
    if len(value) > TEXT_CHARS_MAX or "\0" in value:
        raise ValueError(f"write at most {TEXT_CHARS_MAX} characters and no NUL")
    return str(value)


def email(value: Any) -> str:
    if len(value) > NAME_CHARS_MAX or not _EMAIL.fullmatch(value) or not value.isprintable():
        raise ValueError(f"write an address like name@example.com, at most {NAME_CHARS_MAX} long")
    return str(value)


def password(value: Any) -> str:
    if not value:
        raise ValueError("must not be empty")
    return str(value)


def choice(words: type[enum.StrEnum]) -> Read:
    def read(value: Any) -> str:
        allowed = [word.value for word in words]
        if value not in allowed:
            raise ValueError(f"{value[:NAME_CHARS_MAX]!r} is none of {', '.join(allowed)}")
        return str(value)

    return read


def rate_limit(value: Any) -> int:
    """Requests in 15 minutes."""
    if not 1 <= value <= RATE_LIMIT_MAX:
        raise ValueError(f"write a number of requests from 1 to {RATE_LIMIT_MAX}")
    return int(value)


def whole(least: int, most: int = INT4_MAX) -> Read:
    """A whole number, also as text, as large ones are carried."""

    def read(value: Any) -> int:
        is_text = isinstance(value, str) and _WHOLE.fullmatch(value) is not None
        is_whole = is_text or (isinstance(value, int) and not isinstance(value, bool))
        if not is_whole or not least <= int(value) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(value)

    return read


def slots(value: Any) -> dict[str, str]:
    """A JSON object (or its text) of slot to amount."""
    return ResourceSlots.parse(json_object(value)).to_json()


def hosts(value: Any) -> dict[str, list[str]]:
    """A JSON object (or its text) of storage host to what is allowed on it."""
    allowed = [word.value for word in HostPermission]
    made = {}
    for host, permissions in json_object(value).items():
        if not isinstance(permissions, list) or set(map(str, permissions)) - set(allowed):
            raise ValueError(f"{host[:NAME_CHARS_MAX]}: write a list of {', '.join(allowed)}")
        made[line(host)] = sorted(set(permissions), key=allowed.index)
    return made


def names(value: Any) -> list[str]:
    if len(value) > LIST_ITEMS_MAX or not all(isinstance(each, str) for each in value):
        raise ValueError(f"write a list of at most {LIST_ITEMS_MAX} texts")
    return [text(each) for each in value]


def networks(value: Any) -> list[str]:
    """Addresses and networks; an empty list allows every address."""
    return [_network(each) for each in names(value)]


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f"{value[:NAME_CHARS_MAX]!r} is no address: write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    return value


def json_object(value: Any) -> dict[str, Any]:
    """An object, or the JSON text of one."""
    parsed = parse_json(value.encode("utf-8")) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        raise ValueError("write a JSON object")
    return parsed
