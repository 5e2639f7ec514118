"""A circuit: a user's route through the app proxy to one app of one kernel generation. PURE."""

import enum
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Protocol(enum.StrEnum):
    """How an app talks, as far as it matters here: whatever is no HTTP is bare bytes."""

    HTTP = "http"
    TCP = "tcp"


# A port that a user opened beforehand is a web page as often as not; browsers are who asks here.
_BARE = frozenset({"tcp", "sshd", "sftp", "ssh", "vnc", "vnc-tcp", "rdp", "rtsp"})


def protocol_of(word: str) -> Protocol:
    """What `word`, as images and clients write it, means here."""
    return Protocol.TCP if word.lower() in _BARE else Protocol.HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """`port` is one inside the container (0: a built-in app), `public_port` is the proxy's."""

    id: uuid.UUID
    session_id: uuid.UUID
    kernel_id: uuid.UUID
    generation: int
    agent_id: str
    app: str
    port: int
    protocol: Protocol
    owner: uuid.UUID
    access_key: str
    is_public: bool = False
    allowed: tuple[Network, ...] = ()
    subdomain: str | None = None
    public_port: int | None = None
    relay_address: str = ""

    @property
    def place(self) -> tuple[uuid.UUID, int, str, int]:
        """What it leads to: circuits of one owner to one place are one."""
        return (self.kernel_id, self.generation, self.app, self.port)

    def admits(self, address: str) -> bool:
        """Whether somebody at `address` may come at all."""
        if not self.allowed:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.allowed)


@dataclass(frozen=True, slots=True)
class Permit:
    """`hash` is the SHA-256 of a cookie; `address` is where it may be used, for TCP apps alone."""

    circuit_id: uuid.UUID
    hash: bytes
    address: str
    expires_at: datetime


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)


def plain_address(text: str) -> str:
    """One spelling of each address, as IPv4 also where a listener of IPv6 took it; empty for what
    is none."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if found.version == 6 else None
    return str(mapped or found)
