"""Who asks, and whether they may at all: the name we are asked by, and the page that asks.

Browsers send cookies with what other pages ask, too. They say which page it is (`Origin`,
`Sec-Fetch-Site`); what says neither must bear a header that no form can send.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import web

from backendai.common.faults import BadRequest
from backendai.common.http import forwarded_for
from backendai.common.signing import VERSION_HEADERS
from backendai.common.web_logins import TOKEN_HEADER

from .faults import WrongHost, WrongOrigin
from .settings import WebserverSection

GUARDED: Final = ("/func", "/server")
COMES_BACK: Final = "/server/oidc/"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What pages cannot send elsewhere without being allowed to by an answer to OPTIONS.
_OWN_HEADERS: Final = (*VERSION_HEADERS, TOKEN_HEADER)
# Right ones are looked at once; there are few, unless somebody makes them up.
_HOSTS_KNOWN_MAX: Final = 64
_NEAR: Final = frozenset({"same-origin", "none"})
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")
_ALWAYS: Final = frozenset({"localhost"})
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Scheme = Literal["http", "https"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """`address` is the client's own where proxies in between are trusted; `host` has the port."""

    address: str
    scheme: Scheme
    host: str

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{self.host}"


VISITOR: Final = web.RequestKey("visitor", Visitor)


class Door:
    """Admits requests. What it refuses has reached nothing."""

    def __init__(self, settings: WebserverSection) -> None:
        self._networks = tuple(
            ipaddress.ip_network(text, strict=False) for text in settings.trusted_proxies
        )
        own = {socket.gethostname(), socket.getfqdn()}
        self._hosts = frozenset(name.lower() for name in {*settings.allowed_hosts, *own} | _ALWAYS)
        self._origins = frozenset(text.lower() for text in settings.allowed_origins)
        self._forced = settings.force_endpoint_protocol
        self._has_tls = settings.ssl_cert is not None
        self._known_hosts: set[str] = set()

    def admit(self, request: web.Request) -> Visitor:
        """Raises BadRequest, WrongHost and WrongOrigin."""
        if not request.raw_path.startswith("/"):
            raise BadRequest("Write the path alone into the request line.")
        visitor = self._visitor_of(request)
        if request.path.startswith(GUARDED):
            self._check_page(request, visitor)
        return visitor

    def is_allowed(self, origin: str | None) -> bool:
        """Whether a page of another origin may ask in a user's name."""
        return origin is not None and origin.lower() in self._origins

    def _visitor_of(self, request: web.Request) -> Visitor:
        is_proxied = self._is_trusted(request.remote)
        host = _only(request.headers.getall("Host", []))
        if is_proxied:
            host = request.headers.get("X-Forwarded-Host") or host
        self._check_host(host)
        return Visitor(
            address=self._address_of(request) if is_proxied else request.remote or "",
            scheme=self._scheme_of(request, is_proxied=is_proxied),
            host=host,
        )

    def _check_host(self, host: str) -> None:
        if host in self._known_hosts:
            return
        match = _AUTHORITY.fullmatch(host)
        if match is None:
            raise BadRequest("The header Host must be one name or address.")
        name = match["host"].lower().strip("[]")
        if name not in self._hosts and not _is_address(name):
            raise WrongHost(
                "Its operator has to name it in [webserver] allowed-hosts.", {"host": name}
            )
        if len(self._known_hosts) < _HOSTS_KNOWN_MAX:
            self._known_hosts.add(host)

    def _scheme_of(self, request: web.Request, *, is_proxied: bool) -> Scheme:
        said = request.headers.get("X-Forwarded-Proto") if is_proxied else None
        if (self._forced or said) == "https" or (self._has_tls and not self._forced):
            return "https"
        return "http"

    def _address_of(self, request: web.Request) -> str:
        """The nearest address that is no proxy of ours."""
        for hop in forwarded_for(request):
            if not self._is_trusted(hop):
                return hop if _is_address(hop) else request.remote or ""
        return request.remote or ""

    def _check_page(self, request: web.Request, visitor: Visitor) -> None:
        origin = request.headers.get("Origin")
        if origin is not None:
            if not (_is_own(origin, visitor) or self.is_allowed(origin)):
                raise WrongOrigin
            return
        if request.method == "GET" and request.path.startswith(COMES_BACK):
            # The provider sends browsers here; what they bring is checked against a cookie.
            return
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            if site not in _NEAR:
                raise WrongOrigin
            return
        if request.method in _SAFE_METHODS:
            return
        if not any(name in request.headers for name in _OWN_HEADERS):
            raise WrongOrigin(f"Send the header {VERSION_HEADERS[0]}, or Origin as browsers do.")

    def _is_trusted(self, address: str | None) -> bool:
        if not self._networks or not _is_address(address or ""):
            return False
        parsed = ipaddress.ip_address(address or "")
        return any(parsed in network for network in self._networks)


def _is_own(origin: str, visitor: Visitor) -> bool:
    parts = urlsplit(origin.lower())
    is_same = parts.netloc == visitor.host.lower() and not parts.path
    return is_same and (parts.scheme == "https" or visitor.scheme == "http")


def _only(texts: Iterable[str]) -> str:
    """The one of its kind, else nothing."""
    known = list(texts)
    return known[0] if len(known) == 1 else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
