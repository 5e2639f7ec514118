"""What a manager tells an app proxy, and how it proves itself: the body of `POST /v2/conf`. PURE
but for reading the file of the secret that both hold.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .faults import AuthFailed, ServerMisconfigured
from .tickets import APP_PATTERN, SECRET_BYTES_MIN

TOKEN_HEADER: Final = "X-BackendAI-Token"  # noqa: S105
DATE_HEADER: Final = "X-BackendAI-Date"
CONF_PATH: Final = "/v2/conf"
CONF_WINDOW: Final = timedelta(seconds=60)
KEY_BYTES: Final = 32
_CONF_INFO: Final = b"backendai wsproxy conf"
_DATE_CHARS_MAX: Final = 64


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the session is. `access_key` is the one that the session belongs to."""

    id: uuid.UUID
    user_uuid: uuid.UUID
    group_id: uuid.UUID | None = None
    access_key: str
    domain_name: str = ""


class CircuitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a circuit leads. `port` is one inside the container; 0 for apps that are built in."""

    agent_id: str
    kernel_id: uuid.UUID
    generation: Annotated[int, msgspec.Meta(ge=1)]
    app: Annotated[str, msgspec.Meta(pattern=APP_PATTERN)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    protocol: str = "http"


class ConfBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v2/conf`. The host and port of the kernel are for app proxies of another make."""

    session: SessionFacts
    circuit: CircuitFacts
    login_session_token: str | None = None
    kernel_host: str = ""
    kernel_port: int = 0


def load_relay_secret(path: Path) -> bytes:
    """The secret that managers and app proxies share: base64 in a file that its owner alone reads.

    Raises ServerMisconfigured.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ServerMisconfigured(f"{path} may be read by others: chmod 600 {path}")
        secret = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise ServerMisconfigured(f"cannot read {path}: {error.strerror}") from error
    except binascii.Error as error:
        raise ServerMisconfigured(f"{path} is not base64") from error
    if len(secret) < SECRET_BYTES_MIN:
        raise ServerMisconfigured(f"{path} has {len(secret)} bytes, and needs {SECRET_BYTES_MIN}")
    return secret


def derive_key(secret: bytes, info: bytes) -> bytes:
    """A key of one purpose."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def sign_conf(secret: bytes, date_text: str, body: bytes) -> str:
    """The value of TOKEN_HEADER, in hex; `date_text` is that of DATE_HEADER (ISO 8601, aware)."""
    message = date_text.encode() + b"\n" + body
    return hmac.digest(derive_key(secret, _CONF_INFO), message, hashlib.sha256).hex()


def check_conf(secret: bytes, date_text: str, body: bytes, token: str, now: datetime) -> None:
    """Raises AuthFailed for a body that no manager has sent just now."""
    if len(date_text) > _DATE_CHARS_MAX or not (date_text.isascii() and token.isascii()):
        raise AuthFailed
    if not hmac.compare_digest(sign_conf(secret, date_text, body), token):
        raise AuthFailed
    try:
        sent_at = datetime.fromisoformat(date_text)
        is_fresh = abs(now - sent_at) <= CONF_WINDOW
    except (ValueError, TypeError):
        raise AuthFailed("The date is none.") from None
    if not is_fresh:
        raise AuthFailed("The date is too far from now.")
