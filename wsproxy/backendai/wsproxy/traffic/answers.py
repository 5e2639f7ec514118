"""Heads of an app's answers: taken apart strictly, and written anew for the browser. PURE."""

import enum
from dataclasses import dataclass
from typing import Any, Final

import httptools

from .cookies import SET_COOKIES_MAX, CookieRules

HEADERS_MAX: Final = 256
# Between neighbours, or about more than the one circuit: the host, all of its ports.
_DROPPED: Final = frozenset(
    {
        b"alt-svc",
        b"clear-site-data",
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"public-key-pins",
        b"strict-transport-security",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_BODILESS: Final = frozenset({204, 304})
_KEPT: Final = b""
_NAMES_KNOWN_MAX: Final = 1024


class AnswerRefused(Exception):
    """What the app says is no answer."""


class Body(enum.Enum):
    """How the end of a body is known."""

    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()


@dataclass(slots=True)
class AnswerHead:
    """`lines` is what the browser gets, without those that say where the body ends."""

    status: int
    reason: bytes
    lines: list[bytes]
    body: Body
    length: int
    keeps_alive: bool
    is_upgrade: bool

    def compose(self, *, is_last: bool, is_chunking: bool) -> bytes:
        """The whole head. `is_last`: the connection ends behind it."""
        parts = [b"HTTP/1.1 %d %b\r\n" % (self.status, self.reason), *self.lines]
        if self.length >= 0:
            parts.append(b"Content-Length: %d\r\n" % self.length)
        elif is_chunking:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if self.is_upgrade:
            parts.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        elif is_last:
            parts.append(b"Connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


class _Fates(dict[bytes, bytes]):
    """The lower-case name of a header that is looked at or dropped; nothing for one that is kept as
    it is. Worked out once for each spelling of a name.
    """

    def __missing__(self, name: bytes) -> bytes:
        low = name.lower()
        fate = low if low in _DROPPED or low == b"set-cookie" else _KEPT
        if len(self) < _NAMES_KNOWN_MAX:
            self[name] = fate
        return fate


_FATES: Final = _Fates()


class AnswerReader:
    """Reads heads one after another; made once for each connection."""

    __slots__ = ("_headers", "_parser", "_reason", "_rules")

    def __init__(self, rules: CookieRules) -> None:
        self._rules = rules
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._parser: Any = httptools.HttpResponseParser(self)

    def on_status(self, reason: bytes) -> None:
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def read(self, head: bytes, *, is_head_method: bool) -> AnswerHead:
        """Raises AnswerRefused."""
        self._headers.clear()
        self._reason = b""
        # Whether one goes on with a body depends on the request, which it does not know.
        parser = self._parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise AnswerRefused("The answer is no HTTP.") from error
        if len(self._headers) > HEADERS_MAX:
            raise AnswerRefused("The answer has too many headers.")
        status, version = parser.get_status_code(), parser.get_http_version()
        if not 100 <= status <= 599 or version not in ("1.1", "1.0"):
            raise AnswerRefused("The answer is no HTTP/1.1.")
        return self._judge(status, version == "1.1", is_head_method)

    def _judge(self, status: int, is_http11: bool, is_head_method: bool) -> AnswerHead:
        lines: list[bytes] = []
        length, coding, named, upgrade, cookies = -1, b"", b"", b"", 0
        for name, value in self._headers:
            low = _FATES[name]
            if low == _KEPT:
                lines.append(b"%b: %b\r\n" % (name, value))
            elif low == b"set-cookie":
                cookies += 1
                adopted = self._rules.adopt(value) if cookies <= SET_COOKIES_MAX else None
                if adopted is not None:
                    lines.append(b"%b: %b\r\n" % (name, adopted))
            elif low == b"content-length":
                length = int(value)
            elif low == b"transfer-encoding":
                coding = coding + b"," + value if coding else value
            elif low == b"connection":
                named += value.lower()
            elif low == b"upgrade":
                upgrade = value.lower()
        body = _body_of(status, is_head_method, coding, length)
        return AnswerHead(
            status=status,
            reason=self._reason,
            lines=lines,
            body=body,
            length=-1 if coding or status < 200 or status == 204 else length,
            keeps_alive=is_http11 and b"close" not in named and body is not Body.UNTIL_CLOSE,
            is_upgrade=status == 101 and upgrade == b"websocket",
        )


def _body_of(status: int, is_head_method: bool, coding: bytes, length: int) -> Body:
    if coding and coding.lower() != b"chunked":
        raise AnswerRefused("The answer is coded in a way that is not known.")
    if is_head_method or status < 200 or status in _BODILESS:
        return Body.NONE
    if coding:
        return Body.CHUNKED
    if length >= 0:
        return Body.LENGTH if length else Body.NONE
    return Body.UNTIL_CLOSE
