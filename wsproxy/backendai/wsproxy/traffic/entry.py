"""Who comes to an app, and whether he may: by address, permit and origin.

A browser says the same with each request, so what it said last is kept with what came of it.
Whether a permit still holds is asked each time.
"""

from typing import Protocol

from ..circuits.live import LiveCircuit
from .cookies import find_cookies
from .heads import SAFE, HeadRefused, RequestHead
from .house import House


class Door(Protocol):
    """Where visitors of one listener want to go."""

    @property
    def scheme(self) -> str:
        """Of the addresses by which browsers come."""
        ...

    def find(self, host: bytes) -> LiveCircuit | None: ...

    async def search(self, host: bytes) -> LiveCircuit | None:
        """As `find`, with a look at the database. Raises StoreUnavailable."""
        ...

    def cookie_name(self, live: LiveCircuit) -> bytes: ...

    async def serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        """The answer to a request below OWN_PREFIX. Raises HeadRefused, StoreUnavailable."""
        ...


class Entry:
    """Of one connection. `client` is the address that asked last, `lines` are whole header lines
    by which the app hears of it, with the cookies that are the app's own.
    """

    __slots__ = (
        "_cookie",
        "_digest",
        "_door",
        "_forwarded",
        "_house",
        "_named",
        "_peer",
        "_shown_to",
        "client",
        "lines",
    )

    def __init__(self, house: House, door: Door, peer: str) -> None:
        self._house = house
        self._door = door
        self._peer = peer
        self._named: bytes | None = None
        self._forwarded = b""
        self._cookie: bytes | None = None
        self._shown_to: LiveCircuit | None = None
        self._digest = b""
        self.client = ""
        self.lines = b""

    def admit(self, live: LiveCircuit, head: RequestHead) -> None:
        """Whether its address may come to the circuit at all. Raises HeadRefused."""
        named = head.seen.get(b"x-forwarded-for", b"")
        if named != self._named:
            self._hear_client(named)
        if not live.is_open:
            raise HeadRefused(410, "The app is no longer offered here.")
        if not live.circuit.admits(self.client):
            raise HeadRefused(403, "The app is not offered to your address.")

    def check(self, live: LiveCircuit, head: RequestHead) -> None:
        """Whether the request may go to the app. Raises HeadRefused."""
        cookie = head.seen.get(b"cookie", b"")
        if cookie != self._cookie:
            self._hear_cookie(cookie)
        if not live.circuit.is_public:
            self._check_permit(live, cookie)
            self._check_origin(head)
        elif head.is_upgrade:
            self._check_origin(head)

    def _hear_client(self, named: bytes) -> None:
        """Who asks, as a proxy that is trusted says, or the other end of the connection."""
        self._named = named
        self.client = self._house.client_of(self._peer, named.decode("latin-1"))
        text = "X-Forwarded-For: {}\r\nX-Forwarded-Proto: {}\r\n"
        safe = "".join(letter for letter in self.client[:64] if letter.isalnum() or letter in ".:")
        self._forwarded = text.format(safe, self._door.scheme).encode("ascii", "replace")
        self._cookie = None

    def _hear_cookie(self, cookie: bytes) -> None:
        kept = self._house.rules.strip(cookie)
        self.lines = self._forwarded + (b"Cookie: %b\r\n" % kept if kept else b"")
        self._cookie = cookie
        self._shown_to = None

    def _check_permit(self, live: LiveCircuit, cookie: bytes) -> None:
        now = self._house.clock.now()
        if self._shown_to is live and live.honours(self._digest, now):
            return
        digest = live.find_permit(find_cookies(cookie, self._door.cookie_name(live)), now)
        if digest is None:
            raise HeadRefused(401, "This browser has no permit for the app.")
        self._shown_to, self._digest = live, digest

    def _check_origin(self, head: RequestHead) -> None:
        """Pages of other origins may link to an app, and nothing else: they have its cookies."""
        origin = head.seen.get(b"origin")
        if origin is not None and (head.is_upgrade or head.method not in SAFE):
            own = f"{self._door.scheme}://".encode() + head.seen[b"host"].lower()
            if origin.lower() != own:
                raise HeadRefused(403, "The request comes from a page of another origin.")
        if head.is_foreign_fetch:
            raise HeadRefused(403, "The request comes from a page of another origin.")
