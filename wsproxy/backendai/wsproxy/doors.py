"""What listeners of apps know: which circuit a request is for, and what they serve themselves."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from backendai.common.faults import AuthFailed, CircuitNotFound
from backendai.common.logs import get_logger

from .addresses import Addresses, local_path
from .circuits.book import Book
from .circuits.live import LiveCircuit
from .circuits.model import Protocol
from .settings import WsproxySection, parse_ports
from .tokens import TokenBox
from .traffic.cookies import find_cookies, permit_cookie, permit_name
from .traffic.heads import OWN_PREFIX, HeadRefused, RequestHead
from .traffic.house import House
from .traffic.pages import render_permit
from .traffic.tunnel import Tunnel
from .traffic.visitor import Visitor

log = get_logger(__name__)

SETUP_PATH: Final = OWN_PREFIX.decode() + "setup"
_BACKLOG: Final = 1024


class Permits:
    """Exchanges a setup token for the permit of one browser, once."""

    def __init__(self, book: Book, tokens: TokenBox, addresses: Addresses, lifetime: float) -> None:
        self._book = book
        self._tokens = tokens
        self._addresses = addresses
        self._lifetime = lifetime

    def cookie_name(self, live: LiveCircuit) -> bytes:
        circuit = live.circuit
        return permit_name(
            circuit.id,
            has_own_host=circuit.subdomain is not None,
            is_secure=self._addresses.is_secure,
        )

    async def serve(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        """Raises HeadRefused, StoreUnavailable."""
        path, _, query = head.target.partition(b"?")
        if path != SETUP_PATH.encode():
            raise HeadRefused(404, "There is nothing at this address.")
        if head.method != b"GET":
            raise HeadRefused(405, "The method is not served.")
        given = parse_qs(query.decode("ascii", "replace")).get("token", [""])[-1]
        try:
            claims, permit = self._tokens.read_setup(given), self._tokens.permit_of(given)
            target = local_path(claims.redirect)
        except (AuthFailed, ValueError):
            raise HeadRefused(401, "The link is not good, or no longer.") from None
        if claims.circuit != live.circuit.id:
            raise HeadRefused(403, "The link is for another app.")
        name = self.cookie_name(live)
        try:
            is_new = await self._book.permit(live, permit)
        except CircuitNotFound:
            raise HeadRefused(410, "The app is no longer offered here.") from None
        cookie = None
        if is_new:
            is_secure = self._addresses.is_secure
            cookie = permit_cookie(name, permit, self._lifetime, is_secure=is_secure)
        else:
            self._require_known(live, name, head)
        # A page that gets the permit ahead of opening the app is not let into the app itself.
        return render_permit(cookie, None if head.is_foreign_fetch else target)

    def _require_known(self, live: LiveCircuit, name: bytes, head: RequestHead) -> None:
        """Going back to a link that was used is no harm to the browser that used it."""
        cookies = find_cookies(head.seen.get(b"cookie", b""), name)
        if not self._book.knows(live, cookies):
            raise HeadRefused(401, "The link was used before; it is good once.")


@dataclass(frozen=True, slots=True)
class PortDoor:
    """Of a listener that is one circuit's own."""

    live: LiveCircuit
    permits: Permits
    scheme: str

    def find(self, host: bytes) -> LiveCircuit | None:
        return self.live

    async def search(self, host: bytes) -> LiveCircuit | None:
        return self.live

    def cookie_name(self, live: LiveCircuit) -> bytes:
        return self.permits.cookie_name(live)

    async def serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        return await self.permits.serve(live, head, client)


@dataclass(frozen=True, slots=True)
class DomainDoor:
    """Of the listener of all names below the domain."""

    book: Book
    addresses: Addresses
    permits: Permits
    scheme: str

    def find(self, host: bytes) -> LiveCircuit | None:
        name = self.addresses.subdomain_of(host)
        return self.book.find_subdomain(name) if name is not None else None

    async def search(self, host: bytes) -> LiveCircuit | None:
        if self.addresses.subdomain_of(host) is None:
            return None
        await self.book.look_again()
        return self.find(host)

    def cookie_name(self, live: LiveCircuit) -> bytes:
        return self.permits.cookie_name(live)

    async def serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        return await self.permits.serve(live, head, client)


class CircuitListeners:
    """A listener for each circuit that has a port."""

    def __init__(self, own: WsproxySection, house: House, addresses: Addresses) -> None:
        self.has_ports = own.mode == "port"
        self._host = own.bind_host
        self._ports = parse_ports(own.bind_ports)
        self._house = house
        self._scheme = addresses.scheme
        self._permits: Permits | None = None
        self._servers: dict[LiveCircuit, asyncio.Server] = {}

    def use(self, permits: Permits) -> None:
        """Who gives permits knows the circuits, which know their listeners."""
        self._permits = permits

    def free_ports(self, taken: Iterable[int]) -> list[int]:
        return sorted(set(self._ports) - set(taken))

    async def open(self, live: LiveCircuit) -> bool:
        self._house.circuits.add(live)
        port = live.circuit.public_port
        if port is None or live in self._servers:
            return True
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: self._make(live), self._host, port, backlog=_BACKLOG
            )
        except OSError:
            return False
        self._servers[live] = server
        return True

    async def close(self, live: LiveCircuit) -> None:
        server = self._servers.pop(live, None)
        if server is not None:
            server.close()
        ended = self._house.turn_out(live)
        if ended:
            log.info("circuit.turned_out", circuit=live.circuit.id, connections=ended)

    def close_all(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _make(self, live: LiveCircuit) -> asyncio.Protocol:
        if live.circuit.protocol is Protocol.TCP:
            return Tunnel(self._house, live)
        assert self._permits is not None
        return Visitor(self._house, PortDoor(live, self._permits, self._scheme))
