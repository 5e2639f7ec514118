"""What users may write in names, variables, ports, times and addresses of a session. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

# Clients of this API send 4 to 64 characters; shorter names do no harm.
NAME: Final = re.compile(r"\w(?:[\w.-]{0,62}\w)?", re.ASCII)
NAME_RULE: Final = "1 to 64 of letters, digits, _, . and -, with a letter, digit or _ at both ends"
SCRIPT_BYTES_MAX: Final = 64 * 1024
ENVIRON_BYTES_MAX: Final = 128 * 1024
PREOPEN_PORTS_MAX: Final = 16
TIME_CHARS_MAX: Final = 40
STARTS_AHEAD_MAX: Final = timedelta(days=366)

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
# These change which code the runner itself loads.
_REFUSED_VARIABLES: Final = frozenset({"LD_PRELOAD", "LD_AUDIT"})
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}", re.ASCII)
_RELATIVE_TIME: Final = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?")


def check_name(text: str) -> str:
    """A session's name. Raises ValueError with the rule."""
    if not NAME.fullmatch(text):
        raise ValueError(f"write {NAME_RULE}")
    return text


def check_image_name(text: str) -> str:
    """The name of an image. Web UIs write those that are of no registry with a slash before."""
    text = text.removeprefix("/")
    if not _IMAGE.fullmatch(text) or ".." in text or "//" in text:
        raise ValueError("write a name such as registry/project/name:tag")
    return text


def check_script(text: str) -> str:
    if len(text.encode("utf-8")) > SCRIPT_BYTES_MAX:
        raise ValueError(f"longer than {SCRIPT_BYTES_MAX // 1024} KiB")
    return text


def check_environ(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Variables for the container. Raises ValueError naming the first that cannot be."""
    for name in environ:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name[:64]!r} is no variable name: letters, digits and _ only")
        if name in _REFUSED_VARIABLES:
            raise ValueError(f"{name} cannot be set for a session")
    if sum(len(name) + len(text.encode("utf-8")) for name, text in environ.items()) > (
        ENVIRON_BYTES_MAX
    ):
        raise ValueError(f"larger than {ENVIRON_BYTES_MAX // 1024} KiB in all")
    return environ


def check_ports(values: list[object]) -> tuple[int, ...]:
    """Ports from numbers or their text, 1024 to 65535. Raises ValueError."""
    ports = tuple(_port(value) for value in values)
    if len(ports) > PREOPEN_PORTS_MAX:
        raise ValueError(f"at most {PREOPEN_PORTS_MAX} ports")
    if len(set(ports)) < len(ports):
        raise ValueError("a port is named twice")
    return ports


def check_callback(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(text) > 2048:
        raise ValueError("write an http:// or https:// address of at most 2048 characters")
    if parts.username or parts.password:
        raise ValueError("an address with a user name in it is not allowed")
    return text


def parse_start(text: str, now: datetime) -> datetime:
    """When to start, from ISO 8601 (UTC without an offset) or `1d2h30m`. Raises ValueError."""
    if not 0 < len(text) <= TIME_CHARS_MAX:
        raise ValueError("write an ISO 8601 time, or a span such as 1h30m")
    relative = _RELATIVE_TIME.fullmatch(text)
    if relative:
        days, hours, minutes, seconds = (int(part or 0) for part in relative.groups())
        at = now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("write an ISO 8601 time, or a span such as 1h30m") from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now + STARTS_AHEAD_MAX:
        raise ValueError(f"more than {STARTS_AHEAD_MAX.days} days ahead")
    return at


def _port(value: object) -> int:
    text = str(value) if not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1024 <= int(text) <= 65535):
        raise ValueError(f"{value!r} is no port from 1024 to 65535")
    return int(text)
