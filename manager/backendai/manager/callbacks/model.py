"""PURE: what a callback says, when it is tried again, and which addresses it may reach."""

import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from backendai.common.events import EventName

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ATTEMPTS_MAX: Final = 10
FIRST_PAUSE_SECONDS: Final = 5.0
# What a session's status is told by; the public API's words, without what they begin with.
_PREFIX: Final = "session_"
EVENTS: Final = tuple(
    name for name in EventName if not name.is_of_kernel and name != EventName.SESSION_IDLE_WARNING
)
# IPv6 addresses that stand for the IPv4 address at their end.
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class News:
    """One event that an address has not heard of. `sequence` grows with the events of a session;
    `attempts` failed so far."""

    session_id: uuid.UUID
    url: str
    sequence: int
    event: EventName
    at: datetime
    attempts: int


def body_of(news: News) -> bytes:
    """The JSON that is posted; the same each time that one event is told."""
    return msgspec.json.encode(
        {
            "type": "session_lifecycle",
            "event": news.event.removeprefix(_PREFIX),
            "session_id": str(news.session_id),
            "when": news.at.isoformat(),
        }
    )


def pause_after(attempts: int) -> float | None:
    """Seconds until the next attempt after so many have failed; None when no other is made."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1)


def is_reachable(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is on the internet, or in one of `networks`."""
    inner = _inner(address)
    if any(inner in network for network in networks):
        return True
    # Of the range that was once for sites alone the library says that it is global.
    is_of_site = isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local
    is_odd = inner.is_multicast or inner.is_reserved or is_of_site
    return inner.is_global and not is_odd


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, if it is of that kind."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
