"""Heads of requests: taken apart strictly, judged, and written anew for the app. PURE."""

from dataclasses import dataclass
from typing import Any, Final

import httptools

TARGET_BYTES_MAX: Final = 16 << 10
HEADERS_MAX: Final = 128
OWN_PREFIX: Final = b"/.backendai/"
SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_REPEATABLE: Final = SAFE | {b"PUT", b"DELETE"}
_NOT_SERVED: Final = frozenset({b"CONNECT", b"TRACE"})
_CHUNKED: Final = -1
_NOT_IN_HOST: Final = frozenset(b" \t/\\@?#,;\"'<>{}|^`%")

# What is between two neighbours on the way, and what only a proxy may say.
_DROPPED: Final = frozenset(
    {
        b"forwarded",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"x-real-ip",
    }
)
_DROPPED_PREFIXES: Final = (b"x-forwarded-", b"x-backendai-")
_NAMES_KNOWN_MAX: Final = 1024
_LOOKED_AT: Final = frozenset(
    {
        b"accept",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"origin",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
    }
)
# Of those that are looked at, what is told to the app in other words.
_COMPOSED: Final = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"host",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Those that a client may not have dropped by naming them in `Connection`.
_NEVER_NAMED: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"cookie"})
_OWN_SCHEME: Final = b"backendai "
_BAD_REQUEST: Final = 400


class HeadRefused(Exception):
    """`status` is what the client gets, `why` one sentence for it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(slots=True)
class RequestHead:
    """`seen` has the last value of headers that are looked at, `kept` is what the app gets.

    `length` is that of the body in bytes; below 0 it is chunked.
    """

    method: bytes
    target: bytes
    kept: list[bytes]
    seen: dict[bytes, bytes]
    length: int
    is_http11: bool
    keeps_alive: bool
    is_upgrade: bool

    @property
    def is_chunked(self) -> bool:
        return self.length < 0

    @property
    def has_body(self) -> bool:
        return self.length != 0

    @property
    def is_repeatable(self) -> bool:
        """Doing it twice is as doing it once."""
        return not self.length and self.method in _REPEATABLE

    @property
    def wants_json(self) -> bool:
        accept = self.seen.get(b"accept", b"")
        return b"json" in accept and b"text/html" not in accept

    @property
    def is_foreign_fetch(self) -> bool:
        """A page of another origin asks behind what it shows, and leads nobody here."""
        site = self.seen.get(b"sec-fetch-site", b"none")
        mode = self.seen.get(b"sec-fetch-mode", b"navigate")
        return site in (b"cross-site", b"same-site") and mode != b"navigate"


class _Fates(dict[bytes, tuple[bytes, bool]]):
    """What becomes of a header: the lower-case name by which it is looked at, if it is, and whether
    the app gets it as it is. Worked out once for each spelling of a name: each head has a dozen of
    them, and all browsers the same.
    """

    def __missing__(self, name: bytes) -> tuple[bytes, bool]:
        low = name.lower()
        is_dropped = low in _DROPPED or low.startswith(_DROPPED_PREFIXES) or b"_" in low
        fate = (low if low in _LOOKED_AT else b"", low not in _COMPOSED and not is_dropped)
        if len(self) < _NAMES_KNOWN_MAX:
            self[name] = fate
        return fate


_FATES: Final = _Fates()


class HeadReader:
    """Reads heads one after another; made once for each connection."""

    __slots__ = ("_headers", "_parser", "_target")

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._parser: Any = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def read(self, head: bytes) -> RequestHead:
        """`head` ends in its empty line. Raises HeadRefused."""
        self._headers.clear()
        self._target = b""
        parser = self._parser
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError as error:
            raise HeadRefused(_BAD_REQUEST, "The request is no HTTP.") from error
        version = parser.get_http_version()
        found = _judge(parser.get_method(), self._target, version, self._headers)
        if found.length:
            # It would go on with a body that it never gets.
            self._parser = httptools.HttpRequestParser(self)
        return found


def _judge(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> RequestHead:
    if len(headers) > HEADERS_MAX:
        raise HeadRefused(431, "The request has too many headers.")
    if version not in ("1.1", "1.0"):
        raise HeadRefused(505, "Only HTTP/1.1 is spoken here.")
    if method in _NOT_SERVED:
        raise HeadRefused(405, "The method is not served.")
    if target[:1] != b"/" and not (target == b"*" and method == b"OPTIONS"):
        raise HeadRefused(_BAD_REQUEST, "The address in the request has to be a path.")
    if len(target) > TARGET_BYTES_MAX:
        raise HeadRefused(414, "The address is too long.")
    kept, seen = _sort(headers)
    is_http11 = version == "1.1"
    named = seen.get(b"connection", b"").lower()
    if named:
        kept = _drop_named(kept, named)
    return RequestHead(
        method=method,
        target=target,
        kept=kept,
        seen=seen,
        length=_length_of(seen, is_http11),
        is_http11=is_http11,
        keeps_alive=is_http11 and b"close" not in named,
        is_upgrade=b"upgrade" in seen and _is_upgrade(method, seen, named, is_http11),
    )


def _sort(headers: list[tuple[bytes, bytes]]) -> tuple[list[bytes], dict[bytes, bytes]]:
    kept: list[bytes] = []
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        low, is_kept = _FATES[name]
        if is_kept:
            kept.append(b"%b: %b\r\n" % (name, value))
        if low:
            seen[low] = _join(low, seen[low], value) if low in seen else value
    host = seen.get(b"host", b"")
    if not host or len(host) > 255 or not _NOT_IN_HOST.isdisjoint(host) or not host.isascii():
        raise HeadRefused(_BAD_REQUEST, "The request names no host.")
    return kept, seen


def _join(name: bytes, first: bytes, second: bytes) -> bytes:
    """Several headers of one name, for names that may come again."""
    if name == b"cookie":
        return first + b"; " + second
    if name in (b"accept", b"connection", b"x-forwarded-for"):
        return first + b", " + second
    raise HeadRefused(_BAD_REQUEST, f"The request has two headers {name.decode()}.")


def _drop_named(kept: list[bytes], named: bytes) -> list[bytes]:
    names = {name.strip() for name in named.split(b",")}
    if not names.isdisjoint(_NEVER_NAMED):
        raise HeadRefused(_BAD_REQUEST, "The request names a header that it cannot drop.")
    names -= {b"close", b"keep-alive", b"upgrade", b""}
    if not names:
        return kept
    return [line for line in kept if line.partition(b":")[0].lower() not in names]


def _length_of(seen: dict[bytes, bytes], is_http11: bool) -> int:
    coding = seen.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or not is_http11 or b"content-length" in seen:
            raise HeadRefused(_BAD_REQUEST, "The body is coded in a way that is not known.")
        return _CHUNKED
    length = seen.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 18:
        raise HeadRefused(_BAD_REQUEST, "The length of the body is none.")
    return int(length)


def _is_upgrade(method: bytes, seen: dict[bytes, bytes], named: bytes, is_http11: bool) -> bool:
    if seen[b"upgrade"].lower() != b"websocket":
        raise HeadRefused(_BAD_REQUEST, "Only WebSockets are offered beside HTTP/1.1.")
    is_asked = b"upgrade" in [name.strip() for name in named.split(b",")]
    if is_asked and (method != b"GET" or not is_http11 or _length_of(seen, is_http11)):
        raise HeadRefused(_BAD_REQUEST, "A WebSocket begins with a GET that has no body.")
    return is_asked


def compose_request(head: RequestHead, entry: bytes) -> bytes:
    """What the app gets. `entry` are whole lines about who asks."""
    seen = head.seen
    host = seen[b"host"]
    lines = [head.method, b" ", head.target, b" HTTP/1.1\r\nHost: ", host, b"\r\n", *head.kept]
    authorization = seen.get(b"authorization")
    if authorization is not None and authorization[:10].lower() != _OWN_SCHEME:
        lines += (b"Authorization: ", authorization, b"\r\n")
    lines += (entry, b"X-Forwarded-Host: ", host, b"\r\n")
    if head.is_upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    if head.length < 0:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif b"content-length" in seen:
        lines.append(b"Content-Length: %d\r\n" % head.length)
    lines.append(b"\r\n")
    return b"".join(lines)
