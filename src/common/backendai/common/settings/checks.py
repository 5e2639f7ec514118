"""The checks that settings are made of, each with the words that its error message ends in."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trafaret as t

from backendai.common.faults import BadRequest
from backendai.common.mounts import parse_directory

from .fields import Check

WEAK_SECRETS: Final = frozenset(
    {
        "insecure",
        "develove",
        "password",
        "passwd",
        "secret",
        "changeme",
        "change-me",
        "admin",
        "test",
    }
)
_HOST_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SIZE: Final = re.compile(r"(\d+)\s*([kKmMgGtT]?)i?[bB]?")
_SIZE_SHIFT: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text(*, chars_max: int = 255, pattern: str = "", allowed: str = "") -> Check:
    """Text of one line; `pattern` must match all of it."""
    regex = re.compile(pattern or rf"[^\x00-\x1f]{{1,{chars_max}}}")
    words = allowed or (
        f"text matching {pattern}" if pattern else f"text, 1 to {chars_max} characters"
    )

    def check(value: Any) -> str:
        if not isinstance(value, str) or not regex.fullmatch(value) or len(value) > chars_max:
            raise t.DataError(f"must be {words}")
        return value

    return Check(t.Call(check), words)


def optional(check: Check) -> Check:
    """Also the empty text, read as None."""
    allowed = f'{check.allowed}, or "" for none'

    def check_or_none(value: Any) -> Any:
        if value == "":
            return None
        try:
            return check.trafaret.check(value)
        except t.DataError:
            raise t.DataError(f"must be {allowed}") from None

    return Check(t.Call(check_or_none), allowed, check.is_secret)


def choice(*words: str) -> Check:
    allowed = "one of " + ", ".join(f'"{word}"' for word in words)

    def check(value: Any) -> str:
        if value not in words:
            raise t.DataError(f"must be {allowed}")
        return str(value)

    return Check(t.Call(check), allowed)


def flag() -> Check:
    return Check(t.Bool(), "true or false")


def integer(low: int, high: int) -> Check:
    allowed = f"a whole number from {low} to {high}"

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise t.DataError(f"must be {allowed}")
        return value

    return Check(t.Call(check), allowed)


def number(low: float, high: float) -> Check:
    allowed = f"a number from {low:g} to {high:g}"

    def check(value: Any) -> float:
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not low <= value <= high
        ):
            raise t.DataError(f"must be {allowed}")
        return float(value)

    return Check(t.Call(check), allowed)


def byte_size(low: int = 0, high: int = 1 << 50) -> Check:
    """Bytes as a whole number, or as text with a binary unit: `64M`, `1g`."""
    allowed = f'bytes as {low} to {high}, or text such as "64M" or "1G"'

    def check(value: Any) -> int:
        size = _size_of(value)
        if size is None or not low <= size <= high:
            raise t.DataError(f"must be {allowed}")
        return size

    return Check(t.Call(check), allowed)


def path() -> Check:
    """A path; `~` stands for the home folder."""
    allowed = "a path"

    def check(value: Any) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise t.DataError(f"must be {allowed}")
        return Path(value).expanduser()

    return Check(t.Call(check), allowed)


def offered_directory() -> Check:
    """A directory of this node that kernels may see, absolute and none of the system's."""
    allowed = "an absolute path that is none of the system's, such as /mnt/data"

    def check(value: Any) -> str:
        try:
            return parse_directory(value if isinstance(value, str) else "")
        except BadRequest:
            raise t.DataError(f"must be {allowed}") from None

    return Check(t.Call(check), allowed)


def host_port(*, port_min: int = 1) -> Check:
    """`{ host = "…", port = … }` or `"host:port"`; `port_min` 0 allows any free port."""
    allowed = f'{{ host = "name or address", port = {port_min} to 65535 }} or "host:port"'

    def check(value: Any) -> HostPort:
        pair = _host_port_of(value)
        if pair is None or not port_min <= pair.port <= 65535 or not is_host(pair.host):
            raise t.DataError(f"must be {allowed}")
        return pair

    return Check(t.Call(check), allowed)


def web_address(example: str = "https://portal.example.org/wsproxy") -> Check:
    """An http or https address, its path kept without the slash at its end."""
    allowed = f'an address such as "{example}"'

    def check(value: Any) -> str:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() else urlsplit("")
        is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
        if parts.scheme not in ("http", "https") or not is_plain or not is_host(_host_of(parts)):
            raise t.DataError(f"must be {allowed}")
        return str(value).rstrip("/")

    return Check(t.Call(check), allowed)


def network() -> Check:
    """An address, or a network in the form address/bits."""
    allowed = "an address or a network such as 10.1.0.0/16"

    def check(value: Any) -> str:
        try:
            ipaddress.ip_network(value if isinstance(value, str) else "", strict=False)
        except ValueError:
            raise t.DataError(f"must be {allowed}") from None
        return str(value)

    return Check(t.Call(check), allowed)


def secret(*, chars_min: int = 8, is_needed: bool = False) -> Check:
    """A secret: long enough, and none of those that everybody knows.

    Empty means that none is used, unless one `is_needed`.
    """
    none = "" if is_needed else ', or "" for none'
    allowed = f"a secret of {chars_min} to 1024 characters that is not well known{none}"

    def check(value: Any) -> str:
        is_text = isinstance(value, str) and not re.search(r"[\x00-\x1f]", value)
        is_none = value == "" and not is_needed
        if not is_text or not (is_none or chars_min <= len(value) <= 1024):
            raise t.DataError(f"must be {allowed}")
        if value.lower() in WEAK_SECRETS:
            raise t.DataError(f"is well known; must be {allowed}")
        return str(value)

    return Check(t.Call(check), allowed, is_secret=True)


def listing(item: Check) -> Check:
    """A list, as a tuple."""
    return Check(t.List(item.trafaret) >> tuple, f"a list of {item.allowed}")


def mapping(item: Check) -> Check:
    """A table of free keys."""
    allowed = f"a table whose values are {item.allowed}"

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise t.DataError(f"must be {allowed}")
        made, errors = {}, {}
        for key, inner in value.items():
            try:
                made[str(key)] = item.trafaret.check(inner)
            except t.DataError as error:
                errors[str(key)] = error
        if errors:
            raise t.DataError(errors)
        return made

    return Check(t.Call(check), allowed)


def is_host(text: str) -> bool:
    """Whether `text` is a host name or an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and all(_HOST_LABEL.fullmatch(part) for part in text.split("."))
    return True


def _host_of(parts: Any) -> str:
    try:
        # Raises for a port that is none.
        return parts.hostname or " " if parts.port != 0 else " "
    except ValueError:
        return " "


def _size_of(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) << _SIZE_SHIFT[match[2].lower()] if match else None


def _host_port_of(value: Any) -> HostPort | None:
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        is_number = port.isascii() and port.isdecimal() and len(port) <= 5
        return HostPort(host.strip("[]"), int(port)) if is_number else None
    if not isinstance(value, Mapping) or value.keys() != {"host", "port"}:
        return None
    host, port = value["host"], value["port"]
    is_pair = isinstance(host, str) and isinstance(port, int) and not isinstance(port, bool)
    return HostPort(host, port) if is_pair else None
