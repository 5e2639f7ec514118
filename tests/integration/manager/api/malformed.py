"""Requests that make no sense: bytes, texts, numbers, headers and dates as no client sends them."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from backendai.manager.gate.openapi import in_query
from backendai.manager.gate.routes import JSON, Route
from backendai.manager.gate.shapes import keys_of
from tests.integration.manager.api.asks import IN_PATH, example_of
from tests.integration.manager.api.malformed_graph import ROOTS, odd_graph

_HUGE: Final = 10**400
BODIES: Final[tuple[bytes, ...]] = (
    b"{",
    b"[]",
    b"null",
    b"0",
    b'""',
    b"\x00",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"a":"\xc3\x28"}',
    b'{"a":"\\ud800"}',
    b'{"\\u0000":1}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":1,"a":2}',
    b'{"a":' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    b"{" + b",".join(b'"%d":0' % number for number in range(2000)) + b"}",
    b'{"a":"' + b"x" * 300_000 + b'"}',
    b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--",
    b"--x",
    b"\x1f\x8b\x08\x00garbage",
)
VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0.5,
    _HUGE,
    -(2**63) - 1,
    2**31,
    1e308,
    "",
    " ",
    "\0",
    "\ud800",
    "a\u0000b",
    "%00",
    "%",
    "_",
    "'; drop table users; --",
    "\\",
    "../../etc/passwd",
    "/" * 500,
    "\u202e\u2028\ufeff",
    "\U0010ffff",
    "x" * 70_000,
    "9" * 400,
    "1e400",
    "NaN",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "0000-00-00",
    "2026-02-30T25:61:61Z",
    "00000000-0000-0000-0000-000000000000",
    "00000000",
    [],
    [None],
    [["x"]],
    ["\0"],
    {},
    {"": ""},
    {"\0": 1},
    {"a": {"b": [1, {"c": None}]}},
)
WORDS: Final[tuple[str, ...]] = (
    "%00",
    "%ff%fe",
    "%ed%a0%80",
    "..",
    "%2e%2e%2f",
    "%2f",
    "%25",
    "%",
    "%zz",
    "-",
    "x" * 3000,
    "9" * 100,
    "%F0%9F%92%A9",
    "a%0d%0aX-Odd:%201",
    "00000000-0000-0000-0000-000000000000",
    "{}",
)
QUERIES: Final[tuple[str, ...]] = (
    "",
    "=",
    "&&&",
    "a",
    "a=1&a=2",
    "%00=%00",
    "%ff=%ff",
    "a[]=1",
    "x=" + "y" * 4000,
    "&".join(f"k{number}=1" for number in range(300)),
)
HEADERS: Final[tuple[Mapping[str, str], ...]] = (
    {"Content-Type": "text/html; charset=utf-99"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary=" + "x" * 200},
    {"Content-Type": "application/json; charset=\xff"},
    {"Content-Type": ";;;"},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "nothing-known"},
    {"Date": ""},
    {"Date": "0001-01-01T00:00:00+23:59"},
    {"Date": "9999-12-31T23:59:59.999999-23:59"},
    {"Date": "Thu, 99 Foo 0000 99:99:99 GMT"},
    {"Date": "1e9"},
    {"Date": "x" * 5000},
    {"Date": "\u00b2026"},
    {"X-BackendAI-Version": "v999999.99999999"},
    {"X-BackendAI-Version": "\u0661"},
    {"Authorization": "BackendAI"},
    {"Authorization": "BackendAI signMethod=HMAC-SHA256, credential=:"},
    {"Authorization": "BackendAI signMethod=HMAC-MD5, credential=AKROOT:00"},
    {"Authorization": "BackendAI signMethod=HMAC-SHA256, credential=AKROOT:\u00e9"},
    {"Authorization": "BackendAI " + "a=b," * 200},
    {"Authorization": "Basic cm9vdDpyb290"},
    {"X-BackendAI-Nonce": "x"},
    {"X-BackendAI-Client-Token": "\u00e9" * 50},
    {"X-BackendAI-Client-Token": "x" * 2000},
    {"X-Forwarded-For": "::1%eth0, 999.999.999.999, \u00e9"},
    {"X-Request-Id": "\u00e9" * 20},
    {"Last-Event-ID": "9" * 30},
    {"Last-Event-ID": "-1"},
    {"Range": "bytes=9999999999999999999-0"},
    {"Accept": "x/" * 1000},
    {"Expect": "200-ok"},
    {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Key": "x"},
    {"Host": "\u00e9"},
    {"Host": ""},
    {"Cookie": "a=" + "b" * 7000},
)
# Sent as they are over a connection of their own; the last are cut off by its end.
WIRES: Final[tuple[bytes, ...]] = (
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET //x:99999999/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /session/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}",
    b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /auth HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\xf0\x9f\x92\xa9 / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /auth/authorize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
)
# Makes a pair of RSA keys and reads nothing of what is sent.
COSTLY: Final = ("PATCH", "/auth/ssh-keypair")
# What is put between the bytes of a sound request.
_PIECES: Final[tuple[bytes, ...]] = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\r\n",
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"%",
    b"[",
    b"}",
    b"null",
    b"-1e999",
    b"9" * 300,
)


@dataclass(frozen=True)
class Odd:
    """A request with something odd in it: signed as it is sent, but for `headers` put on top."""

    verb: str
    target: str
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class OddRequests:
    """Makes them. `names` are what paths name, by the keys of paths; who asks keeps them current:
    requests about what is not there are answered before their parameters are looked at."""

    def __init__(self, routes: list[Route], dice: random.Random) -> None:
        self.names: dict[str, str] = {}
        self._dice = dice
        self._routes = [route for route in routes if (route.method, route.path) != COSTLY]
        self._kinds = (
            self._body,
            self._bytes,
            self._value,
            self._value,
            self._in_path,
            self._query,
            self._headers,
        )

    def __iter__(self) -> Iterator[Odd]:
        """One route after the other, each with something odd, for ever; and roots of GraphQL, whose
        documents cost more to check than requests of routes, a third of them each time."""
        while True:
            entries = [*self._routes, *self._dice.sample(ROOTS, len(ROOTS) // 3)]
            for entry in self._dice.sample(entries, len(entries)):
                if isinstance(entry, Route):
                    yield self._dice.choice(self._kinds)(entry)
                else:
                    yield Odd("POST", "/admin/gql", odd_graph(entry, self._dice))

    def _body(self, route: Route) -> Odd:
        kinds = (JSON, JSON, "text/plain", "multipart/form-data; boundary=x", "application/x-tar")
        content_type = self._dice.choice(kinds)
        return Odd(route.method, self._path(route), self._dice.choice(BODIES), content_type)

    def _bytes(self, route: Route) -> Odd:
        """A sound request of which some bytes are others."""
        sound = self._request(route, self._sound(route))
        if sound.body:
            return replace(sound, body=bite(sound.body, self._dice))
        path, _, query = sound.target.partition("?")
        query = quote(bite(query.encode(), self._dice), safe="&=%+")
        return replace(sound, target=f"{path}?{query}")

    def _value(self, route: Route) -> Odd:
        """Sound parameters but for one or two."""
        params = self._sound(route)
        for name in self._dice.sample(sorted(params), min(len(params), self._dice.choice((1, 2)))):
            params[name] = self._dice.choice(VALUES)
        return self._request(route, params)

    def _sound(self, route: Route) -> dict[str, Any]:
        return {
            key.name: example_of(key)
            for key in keys_of(route.params)
            if not key.optional or self._dice.random() < 0.6
        }

    def _request(self, route: Route, params: dict[str, Any]) -> Odd:
        if not in_query(route):
            return Odd(route.method, self._path(route), json.dumps(params).encode())
        query = "&".join(f"{name}={_quoted(value)}" for name, value in params.items())
        return Odd(route.method, f"{self._path(route)}?{query}", content_type="text/plain")

    def _in_path(self, route: Route) -> Odd:
        path = IN_PATH.sub(lambda _: self._dice.choice(WORDS), route.path)
        more = "" if path != route.path else f"/{self._dice.choice(WORDS)}"
        return Odd(route.method, path + more)

    def _query(self, route: Route) -> Odd:
        target = f"{self._path(route)}?{self._dice.choice(QUERIES)}"
        return Odd(route.method, target, content_type="text/plain")

    def _headers(self, route: Route) -> Odd:
        sound = self._request(route, self._sound(route))
        return replace(sound, content_type=JSON, headers=self._dice.choice(HEADERS))

    def _path(self, route: Route) -> str:
        return IN_PATH.sub(lambda found: self.names.get(found[1], "nothing"), route.path)


def odd_wires(sound: bytes, dice: random.Random) -> Iterator[bytes]:
    """All of `WIRES`, then them and a sound request with bytes that are others, for ever."""
    yield from WIRES
    while True:
        yield bite(dice.choice((sound, sound, dice.choice(WIRES))), dice)


def bite(sound: bytes, dice: random.Random) -> bytes:
    """`sound` with some bytes changed, left out, doubled or put in."""
    made = bytearray(sound)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(len(made) + 1)
        some = made[at : at + dice.choice((1, 1, 2, 20))]
        put = (dice.randbytes(len(some) or 1), b"", bytes(some * 3), dice.choice(_PIECES))
        made[at : at + len(some)] = dice.choice(put)
    return bytes(made)


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return quote(text[:4000].encode("utf-8", "surrogatepass"))
