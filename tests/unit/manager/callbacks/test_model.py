"""What a callback says, and where it may go."""

import ipaddress
import json
import uuid
from datetime import UTC, datetime

import pytest

from backendai.common.events import EventName
from backendai.manager.callbacks.model import (
    ATTEMPTS_MAX,
    EVENTS,
    News,
    body_of,
    is_reachable,
    pause_after,
)

IPV4_INSIDE = """
    0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 192.168.1.1
    192.0.2.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
"""
IPV6_INSIDE = """
    :: ::1 fe80::1 fc00::1 fec0::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1::1 2002:a9fe:a9fe::
"""
OUTSIDE = "1.1.1.1 93.184.216.34 2606:4700::1111 64:ff9b::101:101 ::ffff:1.1.1.1"


def test_it_says_what_the_public_api_says() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    news = News(uuid.UUID(int=9), "http://x", 1, EventName.SESSION_STARTED, at, 0)
    assert json.loads(body_of(news)) == {
        "type": "session_lifecycle",
        "event": "started",
        "session_id": "00000000-0000-0000-0000-000000000009",
        "when": "2026-01-02T03:04:05+00:00",
    }


def test_statuses_of_sessions_are_told_and_nothing_else() -> None:
    assert [name.removeprefix("session_") for name in EVENTS] == [
        *("enqueued", "scheduled", "started", "cancelled"),
        *("terminating", "terminated", "success", "failure"),
    ]


def test_pauses_double_and_end() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, ATTEMPTS_MAX + 1)]
    assert pauses[:3] == [5, 10, 20]
    assert pauses[-2:] == [1280, None]


@pytest.mark.parametrize("text", (IPV4_INSIDE + IPV6_INSIDE).split())
def test_nothing_inside_is_reachable_unless_it_is_allowed(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not is_reachable(address, [])
    assert not is_reachable(address, [ipaddress.ip_network("10.99.0.0/16")])


@pytest.mark.parametrize("text", OUTSIDE.split())
def test_the_internet_is_reachable(text: str) -> None:
    assert is_reachable(ipaddress.ip_address(text), [])


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_an_allowed_network_is_reachable_in_each_form(text: str) -> None:
    networks = [ipaddress.ip_network("fc00::/7"), ipaddress.ip_network("10.1.0.0/16")]
    assert is_reachable(ipaddress.ip_address(text), networks)
