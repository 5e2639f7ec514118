import hashlib
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from backendai.common.clock import EPOCH, FakeClock
from backendai.common.relay_secrets import OneSecret
from backendai.wsproxy.circuits.live import LiveCircuit
from backendai.wsproxy.circuits.model import Circuit, Permit, Protocol, parse_networks
from backendai.wsproxy.settings import LimitsSection
from backendai.wsproxy.traffic.cookies import CookieRules, permit_name
from backendai.wsproxy.traffic.entry import Entry
from backendai.wsproxy.traffic.heads import HeadReader, HeadRefused, RequestHead
from backendai.wsproxy.traffic.house import House, Tickets

LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class AnyDoor:
    scheme: str = "http"

    def find(self, host: bytes) -> LiveCircuit | None:
        raise AssertionError(host)

    async def search(self, host: bytes) -> LiveCircuit | None:
        raise AssertionError(host)

    def cookie_name(self, live: LiveCircuit) -> bytes:
        return permit_name(live.circuit.id, has_own_host=False, is_secure=False)

    async def serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        raise AssertionError(client)


def spawn(_errand: Coroutine[Any, Any, None]) -> None:
    raise AssertionError


def offer(*cookies: bytes, **facts: Any) -> LiveCircuit:
    given = {"app": "jupyterlab", "port": 8888, "protocol": Protocol.HTTP, "access_key": "AKIA"}
    ids = {name: uuid.uuid4() for name in ("id", "session_id", "kernel_id", "owner")}
    circuit = Circuit(**{"generation": 1, "agent_id": "i-1", **ids, **given, **facts})
    return LiveCircuit(circuit, [permit(circuit, cookie) for cookie in cookies])


def permit(circuit: Circuit, cookie: bytes) -> Permit:
    return Permit(circuit.id, hashlib.sha256(cookie).digest(), "", EPOCH + LIFE)


def read(**headers: str) -> RequestHead:
    method = headers.pop("method", "GET")
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    lines = [f"{name}: {text}\r\n" for name, text in {"Host": "a:1", **named}.items()]
    return HeadReader().read(f"{method} / HTTP/1.1\r\n{''.join(lines)}\r\n".encode())


def cookie_of(live: LiveCircuit, value: str, more: str = "") -> str:
    return f"{more}{AnyDoor().cookie_name(live).decode()}={value}"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(clock: FakeClock) -> Callable[..., Entry]:
    def make(peer: str = "10.0.0.9", trusted: tuple[str, ...] = ()) -> Entry:
        house = House(
            LimitsSection(),
            CookieRules(frozenset()),
            Tickets(OneSecret(bytes(32)), clock),
            clock,
            spawn,
            parse_networks(trusted),
        )
        return Entry(house, AnyDoor(), peer)

    return make


def refusal(entry: Entry, live: LiveCircuit, head: RequestHead) -> int:
    try:
        entry.admit(live, head)
        entry.check(live, head)
    except HeadRefused as refused:
        return refused.status
    return 0


async def test_a_permit_is_asked_for_again_with_each_request(
    make: Callable[..., Entry], clock: FakeClock
) -> None:
    entry, live = make(), offer(b"x", b"y")
    head = read(Cookie=cookie_of(live, "x"))
    assert [refusal(entry, live, head) for _ in range(3)] == [0, 0, 0]
    live.replace_permits([permit(live.circuit, b"y")])
    assert refusal(entry, live, head) == 401
    live.add_permit(permit(live.circuit, b"x"))
    assert refusal(entry, live, head) == 0
    await clock.advance(LIFE.total_seconds())
    assert refusal(entry, live, head) == 401


def test_every_request_counts_as_use_of_its_permit(make: Callable[..., Entry]) -> None:
    entry, live = make(), offer(b"x")
    head = read(Cookie=cookie_of(live, "x"))
    assert refusal(entry, live, head) == 0
    live.permits_used.clear()
    assert refusal(entry, live, head) == 0
    assert live.permits_used == {hashlib.sha256(b"x").digest()}


def test_what_was_shown_to_one_circuit_opens_no_other(make: Callable[..., Entry]) -> None:
    entry, mine, other = make(), offer(b"x"), offer(b"x")
    head = read(Cookie=cookie_of(mine, "x"))
    assert refusal(entry, mine, head) == 0
    assert refusal(entry, other, head) == 401
    assert refusal(entry, mine, head) == 0


def test_other_cookies_are_other_cookies(make: Callable[..., Entry]) -> None:
    entry, live = make(), offer(b"x")
    assert refusal(entry, live, read(Cookie=cookie_of(live, "x", "a=1; "))) == 0
    assert entry.lines.endswith(b"Cookie: a=1\r\n")
    assert refusal(entry, live, read(Cookie=cookie_of(live, "z", "a=2; "))) == 401
    assert refusal(entry, live, read(Cookie=cookie_of(live, "x", "b=3; "))) == 0
    assert entry.lines.endswith(b"Cookie: b=3\r\n")
    assert refusal(entry, live, read(Cookie=cookie_of(live, "x"))) == 0
    assert b"Cookie" not in entry.lines
    assert refusal(entry, live, read()) == 401


def test_the_app_hears_who_asks_each_time(make: Callable[..., Entry]) -> None:
    entry, live = make(trusted=("10.0.0.0/8",)), offer(is_public=True)
    assert refusal(entry, live, read(X_Forwarded_For="192.0.2.1", Cookie="a=1")) == 0
    first = entry.lines
    assert first == (b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nCookie: a=1\r\n")
    assert refusal(entry, live, read(X_Forwarded_For="192.0.2.2", Cookie="a=1")) == 0
    assert entry.lines == first.replace(b"192.0.2.1", b"192.0.2.2")
    assert refusal(entry, live, read(Cookie="a=1")) == 0
    assert entry.lines == first.replace(b"192.0.2.1", b"10.0.0.9")


def test_each_request_comes_from_its_own_address(make: Callable[..., Entry]) -> None:
    entry = make(trusted=("10.0.0.0/8",))
    live = offer(is_public=True, allowed=parse_networks(("192.0.2.0/24",)))
    assert refusal(entry, live, read(X_Forwarded_For="192.0.2.1")) == 0
    assert refusal(entry, live, read(X_Forwarded_For="198.51.100.1")) == 403
    assert refusal(entry, live, read()) == 403


def test_a_circuit_that_was_taken_back_is_gone(make: Callable[..., Entry]) -> None:
    entry, live = make(), offer(is_public=True)
    assert refusal(entry, live, read()) == 0
    live.close()
    assert refusal(entry, live, read()) == 410


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://a:1", "method": "PUT"}, 0),
        ({"Origin": "HTTP://A:1", "method": "PUT"}, 0),
        ({"Origin": "http://b:1", "method": "PUT"}, 403),
        ({"Origin": "http://b:1"}, 0),
        ({"Origin": "null", "method": "DELETE"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 0),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, 0),
    ],
)
def test_pages_elsewhere_may_only_link_here(
    make: Callable[..., Entry], headers: dict[str, str], status: int
) -> None:
    entry, live = make(), offer(b"x")
    assert refusal(entry, live, read(Cookie=cookie_of(live, "x"), **headers)) == status
