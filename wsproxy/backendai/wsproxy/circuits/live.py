"""A circuit as this process serves it: who may come, and the connections that wait for work."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from .model import Circuit, Permit

IDLE_LINES_MAX: Final = 64
# An app may hang up at any moment; what must not be done twice takes none that waited longer.
FRESH_SECONDS: Final = 1.0


class IdleLine(Protocol):
    """A connection to the app on which nothing is under way."""

    idle_since: float

    def is_usable(self) -> bool: ...

    def abort(self) -> None: ...


class LiveCircuit:
    """`is_open` turns false once, when it is taken back."""

    __slots__ = ("_lines", "_permits", "circuit", "is_open", "is_used", "permits_used")

    def __init__(self, circuit: Circuit, permits: Iterable[Permit] = ()) -> None:
        self.circuit = circuit
        self.is_open = True
        self.is_used = False
        self.permits_used: set[bytes] = set()
        self._permits: dict[bytes, Permit] = {}
        self._lines: list[IdleLine] = []
        self.replace_permits(permits)

    def replace_permits(self, permits: Iterable[Permit]) -> None:
        self._permits = {permit.hash: permit for permit in permits}

    def add_permit(self, permit: Permit) -> None:
        self._permits = {**self._permits, permit.hash: permit}

    def find_permit(self, cookies: Iterable[bytes], now: datetime) -> bytes | None:
        """The digest of the cookie that is a permit. Takes as long for a near miss as for any: what
        is looked up is a digest, which says nothing of how near it was.
        """
        digests = (hashlib.sha256(cookie).digest() for cookie in cookies)
        return next((digest for digest in digests if self.honours(digest, now)), None)

    def honours(self, digest: bytes, now: datetime) -> bool:
        """Whether the cookie of this digest is a permit still."""
        known = self._permits.get(digest)
        if known is None or known.address or known.expires_at <= now:
            return False
        self.permits_used.add(digest)
        return True

    def knows_address(self, address: str, now: datetime) -> bool:
        """Whether a permit was given to `address`: the way into apps that have no cookies."""
        for known in self._permits.values():
            if known.address and known.address == address and known.expires_at > now:
                self.permits_used.add(known.hash)
                return True
        return False

    def take_line(self, now: float, *, only_fresh: bool) -> IdleLine | None:
        """One that waits, the last used first."""
        while self._lines:
            line = self._lines[-1]
            if only_fresh and now - line.idle_since > FRESH_SECONDS:
                return None
            self._lines.pop()
            if line.is_usable():
                return line
        return None

    def keep_line(self, line: IdleLine) -> None:
        if self.is_open and len(self._lines) < IDLE_LINES_MAX:
            self._lines.append(line)
        else:
            line.abort()

    def drop_line(self, line: IdleLine) -> None:
        if line in self._lines:
            self._lines.remove(line)

    def drop_old_lines(self, before: float) -> None:
        for line in [line for line in self._lines if line.idle_since < before]:
            self._lines.remove(line)
            line.abort()

    def close(self) -> None:
        self.is_open = False
        for line in self._lines[:]:
            line.abort()
        self._lines.clear()
