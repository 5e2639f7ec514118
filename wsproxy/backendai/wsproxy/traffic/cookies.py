"""Cookies between browsers and apps: ours stay here, and an app sets none but its own. PURE."""

import uuid
from dataclasses import dataclass
from typing import Final

# Browsers take a cookie of such a name from none but a secure origin, for that host alone.
_HOST_PREFIX: Final = b"__Host-"
_PREFIXES: Final = (b"__host-", b"__secure-")
_OWN: Final = b"bai_"
PERMIT: Final = b"bai_permit"
SET_COOKIES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class CookieRules:
    """`hidden` are lower-case names of cookies of other services on the same host."""

    hidden: frozenset[bytes]

    def is_hidden(self, name: bytes) -> bool:
        plain = name.lower()
        for prefix in _PREFIXES:
            plain = plain.removeprefix(prefix)
        return plain.startswith(_OWN) or plain in self.hidden

    def strip(self, header: bytes) -> bytes:
        """A `Cookie` header without what apps must not see; empty when nothing is left."""
        pairs = (part.strip() for part in header.split(b";"))
        kept = [pair for pair in pairs if pair and not self.is_hidden(pair.partition(b"=")[0])]
        return b"; ".join(kept)

    def adopt(self, header: bytes) -> bytes | None:
        """A `Set-Cookie` of an app, bound to its own host; None when it may not be set."""
        first, *attributes = header.split(b";")
        name = first.partition(b"=")[0].strip()
        if not name or self.is_hidden(name):
            return None
        kept = [one for one in attributes if one.strip().lower()[:6] != b"domain"]
        return b";".join([first, *kept])


def permit_name(circuit_id: uuid.UUID, *, has_own_host: bool, is_secure: bool) -> bytes:
    """Ports of one host share cookies, so that there each circuit has a name of its own."""
    if not has_own_host:
        return b"%b_%b" % (PERMIT, circuit_id.hex.encode())
    return _HOST_PREFIX + PERMIT if is_secure else PERMIT


def find_cookies(header: bytes, name: bytes) -> list[bytes]:
    """All values of one name: a page on another port may have added wrong ones."""
    found = (part.strip().partition(b"=") for part in header.split(b";"))
    return [value for key, _, value in found if key == name]


def permit_cookie(name: bytes, value: str, seconds: float, *, is_secure: bool) -> bytes:
    secure = b"; Secure" if is_secure else b""
    return b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%b" % (
        name,
        value.encode(),
        int(seconds),
        secure,
    )
