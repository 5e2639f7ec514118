"""What a manager says to an app proxy: whose session an app is of, and where it listens.

Both hold the secret of the relays, and so the MAC of the words can only be a manager's.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backendai.common.faults import AuthFailed
from backendai.common.tickets import APP_PATTERN

CONF_PATH: Final = "/v2/conf"
STATUS_PATH: Final = "/status"
MAC_HEADER: Final = "X-BackendAI-Token"
DATE_HEADER: Final = "X-BackendAI-Date"
DATE_SKEW: Final = timedelta(seconds=60)
KEY_BYTES: Final = 32
_CONF_INFO: Final = b"backendai wsproxy conf"
_DATE_CHARS_MAX: Final = 64


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The session, and who opens the app: its owner, or an administrator."""

    id: uuid.UUID
    user_uuid: uuid.UUID
    group_id: uuid.UUID
    access_key: str
    domain_name: str


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`port` is the one in the kernel; 0 for an app that is built in."""

    agent_id: str
    kernel_id: uuid.UUID
    generation: Annotated[int, msgspec.Meta(ge=1)]
    app: Annotated[str, msgspec.Meta(pattern=APP_PATTERN)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    protocol: str


class ProxyConf(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v2/conf`: what its token will stand for. The host and port of the kernel
    are for app proxies of another make."""

    login_session_token: str | None = None
    kernel_host: str
    kernel_port: int
    session: SessionFacts
    circuit: AppFacts


class ProxyToken(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: what a browser shows the proxy to get a circuit."""

    token: str


def sign_conf(secret: bytes, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that make `body` a manager's."""
    date = now.astimezone(UTC).isoformat(timespec="seconds")
    return {MAC_HEADER: _mac(secret, date, body), DATE_HEADER: date}


def check_conf(
    secrets: Sequence[bytes], body: bytes, headers: Mapping[str, str], now: datetime
) -> None:
    """Raises AuthFailed for a body that no manager who has one of the `secrets` has sent within the
    last minute."""
    date, told = headers.get(DATE_HEADER, ""), headers.get(MAC_HEADER, "")
    if len(date) > _DATE_CHARS_MAX or not (date.isascii() and told.isascii()):
        raise AuthFailed("These are not the words of a manager.")
    macs = [_mac(secret, date, body).encode() for secret in secrets]
    if not any(hmac.compare_digest(mac, told.encode()) for mac in macs):
        raise AuthFailed("These are not the words of a manager.")
    # The date is a manager's, for it is under the MAC.
    if abs(datetime.fromisoformat(date) - now) > DATE_SKEW:
        raise AuthFailed("These words are old, or the clocks differ by over a minute.")


def derive_key(secret: bytes, info: bytes) -> bytes:
    """A key of one purpose, which `info` names."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def _mac(secret: bytes, date: str, body: bytes) -> str:
    words = date.encode() + b"\n" + body
    return hmac.digest(derive_key(secret, _CONF_INFO), words, hashlib.sha256).hex()
