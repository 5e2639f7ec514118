"""PURE: what may be written of a resource group, in the form of its table."""

import enum
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from backendai.common.enums import PlacementStrategy, SessionType
from backendai.manager.accounts import fields
from backendai.manager.sched.load import TIMEOUT_SECONDS_MAX

OPTIONS_CHARS_MAX: Final = 4096


class Scheduler(enum.StrEnum):
    """Who goes first among those who wait."""

    FIFO = "fifo"


class Driver(enum.StrEnum):
    """Where nodes come from: they register themselves."""

    STATIC = "static"


def read_scheduler_options(value: Any) -> dict[str, Any]:
    """Raises ValueError that names an option which is unknown or wrong."""
    given = fields.json_object(value)
    if unknown := given.keys() - _OPTIONS.keys():
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown; known: {', '.join(_OPTIONS)}")
    return {name: _OPTIONS[name](each) for name, each in given.items() if each is not None}


def _placement(value: Any) -> str:
    return str(fields.choice(PlacementStrategy)(str(value)))


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= TIMEOUT_SECONDS_MAX:
        raise ValueError(f"a timeout is 0 (for ever) to {TIMEOUT_SECONDS_MAX} seconds")
    return float(value)


def _session_types(value: Any) -> list[str]:
    return [str(fields.choice(SessionType)(each)) for each in fields.names(_list(value))]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("write a list")
    return value


def _short_object(value: Any) -> dict[str, Any]:
    if len(str(value)) > OPTIONS_CHARS_MAX:
        raise ValueError(f"write at most {OPTIONS_CHARS_MAX} characters")
    return fields.json_object(value)


def _address(value: Any) -> str:
    """Of an app proxy; empty: none."""
    address = str(fields.text(value))
    parts = urlsplit(address)
    is_sound = parts.scheme in ("http", "https") and parts.hostname and address.isprintable()
    if address and not is_sound:
        raise ValueError("write an address like http://proxy.example.com:10200, or nothing")
    return address


def _no_host_network(value: Any) -> bool:
    if fields.flag(value):
        raise ValueError("sessions have networks of their own here: write false")
    return False


# Two words for one thing are ours and that of official clients; `config` is theirs alone.
_OPTIONS: Final[Mapping[str, fields.Read]] = {
    "placement": _placement,
    "agent_selection_strategy": _placement,
    "pending_timeout_seconds": _seconds,
    "pending_timeout": _seconds,
    "allowed_session_types": _session_types,
    "config": _short_object,
}
FIELDS: Final[Mapping[str, fields.Read]] = {
    "description": fields.text,
    "is_active": fields.flag,
    "is_public": fields.flag,
    "wsproxy_addr": _address,
    "wsproxy_api_token": fields.text,
    "driver": fields.choice(Driver),
    "driver_opts": _short_object,
    "scheduler": fields.choice(Scheduler),
    "scheduler_opts": read_scheduler_options,
    "use_host_network": _no_host_network,
}
