"""Tickets: short-lived permissions to connect to one app of one kernel, and the words said at the
door of a relay. PURE.

Managers and the app proxy seal them with a key that each agent's relay has for itself. A ticket is
looked at when a connection begins; what it opened stays open. It does not say which key sealed it:
there are two at most, trying both costs microseconds, and relays of the release before read it too.
"""

import base64
import binascii
import enum
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .faults import Fault, Kind

SECRET_BYTES_MIN: Final = 32
RELAY_KEY_BYTES: Final = 32
TICKET_LIFE_SECONDS: Final = 30
TICKET_CHARS_MAX: Final = 768
# Of a line at the door, the newline at its end included, in either direction.
LINE_BYTES_MAX: Final = 1024
HELLO_PREFIX: Final = b"BAI1 "
OK_LINE: Final = b"BAI1 ok\n"
APP_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
_MESSAGE_CHARS_MAX: Final = 200
_KEY_INFO: Final = b"backendai relay "
_MAC_CHARS: Final = 43


class TicketRefused(Fault):
    """The ticket is none, is no longer good, or was sealed with another key."""

    kind, code = Kind.FORBIDDEN, "relay.ticket_refused"
    slug, title = "generic-forbidden", "The ticket is not accepted."


class RelayCode(enum.StrEnum):
    """Why a relay does not open: said in one word, so that both ends agree on what to do."""

    DENIED = "denied"  # the ticket is not accepted
    GONE = "gone"  # that generation of the kernel does not run here
    REFUSED = "refused"  # the app does not listen
    BUSY = "busy"  # too many connections, or the door is taken: asking again helps
    FAILED = "failed"


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Permission to connect to `app` until `expires` (Unix seconds).

    `port` is one inside the container; 0 is the app's first. It means nothing for built-in apps.
    """

    agent: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    kernel: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    generation: Annotated[int, msgspec.Meta(ge=1)]
    app: Annotated[str, msgspec.Meta(pattern=APP_PATTERN)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    expires: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a relay answers instead of `ok`; `message` is one sentence for people."""

    code: RelayCode
    message: str = ""


_decoder = msgspec.msgpack.Decoder(Ticket)


def derive_relay_key(secret: bytes, agent_id: str) -> bytes:
    """The key of one agent's relay. Raises ValueError for a secret under SECRET_BYTES_MIN bytes."""
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"a secret of {len(secret)} bytes: {SECRET_BYTES_MIN} are the least")
    info = _KEY_INFO + agent_id.encode()
    return HKDF(hashes.SHA256(), RELAY_KEY_BYTES, salt=None, info=info).derive(secret)


def seal_ticket(ticket: Ticket, key: bytes) -> str:
    """The ticket as text without blanks, at most TICKET_CHARS_MAX characters.

    Raises ValueError for what no relay would accept.
    """
    payload = msgspec.msgpack.encode(ticket)
    try:
        _decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a ticket: {error}") from error
    body = _encode64(payload)
    return f"{body}.{_mac(body, key)}"


def open_ticket(text: str, keys: Sequence[bytes], now: float) -> Ticket:
    """The ticket that was sealed with one of `keys`; `now` is in Unix seconds.

    Raises TicketRefused. It takes as long for a wrong seal as for a right one.
    """
    body, _, seal = text.partition(".")
    if len(text) > TICKET_CHARS_MAX or len(seal) != _MAC_CHARS or not text.isascii():
        raise TicketRefused("that is no ticket")
    matches = [hmac.compare_digest(_mac(body, key), seal) for key in keys]
    if not any(matches):
        raise TicketRefused("the ticket was not sealed for this relay")
    ticket = _decode(body)
    if ticket.expires <= now:
        raise TicketRefused(f"the ticket expired {now - ticket.expires:.0f} s ago")
    return ticket


def encode_hello(ticket: str) -> bytes:
    """What a client says first; bytes for the app may follow it at once."""
    return HELLO_PREFIX + ticket.encode("ascii") + b"\n"


def decode_hello(line: bytes) -> str:
    """The text of the ticket in a line without its newline. Raises TicketRefused."""
    if not line.startswith(HELLO_PREFIX) or not line.isascii():
        raise TicketRefused("that is no greeting of a relay's client")
    return line[len(HELLO_PREFIX) :].decode("ascii")


def encode_refusal(refusal: Refusal) -> bytes:
    """One line of at most LINE_BYTES_MAX bytes, whatever the message is."""
    words = " ".join(refusal.message.split())[:_MESSAGE_CHARS_MAX]
    return f"BAI1 {refusal.code} {words}".rstrip().encode("utf-8", "replace") + b"\n"


def decode_answer(line: bytes) -> Refusal | None:
    """None for `ok`. Raises ValueError for a line that no relay says."""
    if line == OK_LINE.rstrip():
        return None
    head, _, rest = line.partition(b" ")
    code, _, message = rest.decode("utf-8", "replace").partition(" ")
    if head != HELLO_PREFIX.rstrip() or code not in set(RelayCode):
        raise ValueError(f"not the answer of a relay: {line[:40]!r}")
    return Refusal(RelayCode(code), message)


def _decode(body: str) -> Ticket:
    try:
        payload = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        return _decoder.decode(payload)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TicketRefused("that is no ticket") from error


def _mac(body: str, key: bytes) -> str:
    return _encode64(hmac.digest(key, body.encode("ascii"), hashlib.sha256))


def _encode64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
