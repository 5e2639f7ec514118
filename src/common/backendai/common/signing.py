"""Request signatures, both sides: the clients' own form, and one that also covers the body.

A server reads a request with `read_signed_request`, checks its date, looks up the secret key and
calls `verify`; a client calls `signed_headers`. Remembering signatures against replay is not here.
"""

import enum
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from .faults import AuthFailed, InvalidAuthParams

EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
DATE_WINDOW: Final = timedelta(minutes=15)
BODY_DATE_WINDOW: Final = timedelta(minutes=5)
NONCE_HEADER: Final = "X-BackendAI-Nonce"
VERSION_HEADERS: Final = ("X-BackendAI-Version", "X-Sorna-Version")
DATE_HEADERS: Final = ("Date", "X-BackendAI-Date", "X-Sorna-Date")
SCHEMES: Final = ("BackendAI", "Sorna")
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
_AUTHORIZATION_CHARS_MAX: Final = 1024
_DATE_CHARS_MAX: Final = 64
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_ACCESS_KEY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SignMethod(enum.StrEnum):
    """HEADERS is what every client of this API speaks; it leaves the body unsigned."""

    HEADERS = "HMAC-SHA256"
    BODY = "BAI-HMAC-SHA256-V2"


class Headers(Protocol):
    """Header lookup by name without regard to case, as HTTP libraries offer it."""

    def get(self, name: str, /) -> str | None: ...

    def getall(self, name: str, default: list[str], /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Credential:
    method: SignMethod
    access_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers, as text on the wire. `target` is the raw one, never re-encoded.

    `body_sha256` (hex) and `nonce` count for SignMethod.BODY only.
    """

    method: str
    target: str
    date_text: str
    host: str
    content_type: str
    version: str
    version_header: str = VERSION_HEADERS[0]
    body_sha256: str = EMPTY_SHA256
    nonce: str = ""


def string_to_sign(request: SignedRequest, method: SignMethod = SignMethod.HEADERS) -> str:
    lines = [
        request.method.upper(),
        request.target,
        request.date_text,
        f"host:{request.host}",
        f"content-type:{request.content_type}",
        f"{request.version_header.lower()}:{request.version}",
    ]
    if method is SignMethod.BODY:
        return "\n".join([method.value, *lines, f"nonce:{request.nonce}", request.body_sha256])
    return "\n".join([*lines, EMPTY_SHA256])


def sign(request: SignedRequest, secret_key: str, method: SignMethod = SignMethod.HEADERS) -> str:
    """The lower-case hex signature. Raises InvalidAuthParams when the date is no date."""
    day = parse_date(request.date_text).strftime("%Y%m%d")
    key = _hmac(_bytes(secret_key), day.encode("ascii"))
    key = _hmac(key, _bytes(request.host))
    return _hmac(key, _bytes(string_to_sign(request, method))).hex()


def verify(request: SignedRequest, credential: Credential, secret_key: str) -> None:
    """Raises AuthFailed unless the signature belongs to `request`, in constant time.

    Clients sign the authority as their endpoint has it written, so a default port may be in it that
    is not in the Host header: both forms are tried.
    """
    given = _bytes(credential.signature)
    matches = [
        hmac.compare_digest(
            _bytes(sign(replace(request, host=host), secret_key, credential.method)), given
        )
        for host in _hosts(request.host)
    ]
    if not any(matches):
        raise AuthFailed("Signature mismatch")


def signed_headers(
    request: SignedRequest,
    access_key: str,
    secret_key: str,
    method: SignMethod = SignMethod.HEADERS,
) -> dict[str, str]:
    """The headers that carry the signature, the date and the version."""
    signature = sign(request, secret_key, method)
    headers = {
        "Authorization": f"{SCHEMES[0]} signMethod={method}, credential={access_key}:{signature}",
        "Date": request.date_text,
        request.version_header: request.version,
    }
    if method is SignMethod.BODY:
        headers[NONCE_HEADER] = request.nonce
    return headers


def body_sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def read_signed_request(
    method: str, target: str, headers: Headers, body: bytes = b""
) -> tuple[SignedRequest, Credential]:
    """What a request claims. `target` is the raw request target, `body` all of its body.

    The body counts only when the credential's method covers it. Raises InvalidAuthParams for what
    is malformed and AuthFailed for a sign method that is not allowed.
    """
    credential = parse_authorization(headers.get("Authorization") or "")
    version_header = next((name for name in VERSION_HEADERS if headers.get(name)), "")
    request = SignedRequest(
        method=method,
        target=target,
        date_text=date_text_of(headers),
        host=headers.get("Host") or "",
        content_type=_content_type_of(headers, credential.method),
        version=headers.get(version_header) or "" if version_header else "",
        version_header=version_header or VERSION_HEADERS[0],
    )
    if credential.method is SignMethod.BODY:
        request = replace(request, nonce=_nonce_of(headers), body_sha256=body_sha256(body))
    return request, credential


def parse_authorization(text: str) -> Credential:
    """`BackendAI signMethod=…, credential=AK:SIG`. Raises InvalidAuthParams, AuthFailed."""
    if len(text) > _AUTHORIZATION_CHARS_MAX:
        raise InvalidAuthParams(f"Authorization is longer than {_AUTHORIZATION_CHARS_MAX}")
    scheme, _, rest = text.strip().partition(" ")
    if scheme not in SCHEMES:
        raise InvalidAuthParams(f"The scheme of Authorization must be {SCHEMES[0]}")
    params = dict(_parameter(item) for item in rest.split(","))
    missing = [name for name in ("signMethod", "credential") if not params.get(name)]
    if missing:
        raise InvalidAuthParams(f"Authorization lacks {' and '.join(missing)}")
    access_key, colon, signature = params["credential"].partition(":")
    if not (colon and signature and _ACCESS_KEY.fullmatch(access_key)):
        raise InvalidAuthParams("The credential must be <access key>:<signature>")
    return Credential(_sign_method(params["signMethod"]), access_key, signature)


def parse_date(text: str) -> datetime:
    """An aware time in its own offset, from ISO 8601 or RFC text. Raises InvalidAuthParams."""
    if len(text) > _DATE_CHARS_MAX:
        raise _date_fault()
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        date = _parse_rfc_date(text)
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def check_date(text: str, now: datetime, method: SignMethod = SignMethod.HEADERS) -> None:
    """Raises InvalidAuthParams unless the date is near `now`; facts tell the server's time."""
    window = BODY_DATE_WINDOW if method is SignMethod.BODY else DATE_WINDOW
    if abs(parse_date(text) - now) > window:
        raise InvalidAuthParams("Date/time sync error", {"serverTime": now.isoformat()})


def date_text_of(headers: Headers) -> str:
    """The one date of a request. Raises InvalidAuthParams: none, or several that differ."""
    texts = {text for name in DATE_HEADERS for text in headers.getall(name, []) if text.strip()}
    if len(texts) != 1:
        raise _date_fault()
    return texts.pop()


def media_type(content_type: str | None) -> str:
    """The lower-case media type without parameters; the clients' default when there is none."""
    return (content_type or DEFAULT_CONTENT_TYPE).partition(";")[0].strip().lower()


def _content_type_of(headers: Headers, method: SignMethod) -> str:
    text = headers.get("Content-Type")
    if method is SignMethod.BODY:
        # With its parameters: another boundary would give the same body another meaning.
        return (text or DEFAULT_CONTENT_TYPE).strip()
    return media_type(text)


def _nonce_of(headers: Headers) -> str:
    nonce = headers.get(NONCE_HEADER) or ""
    if not _NONCE.fullmatch(nonce):
        raise InvalidAuthParams(f"{NONCE_HEADER} must be 16 to 64 of A-Z a-z 0-9 _ -")
    return nonce


def _sign_method(text: str) -> SignMethod:
    try:
        return SignMethod(text)
    except ValueError:
        raise AuthFailed(f"signMethod must be one of {', '.join(SignMethod)}") from None


def _parameter(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name.strip(), value.strip()


def _parse_rfc_date(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise _date_fault() from None


def _date_fault() -> InvalidAuthParams:
    return InvalidAuthParams("Date/time sync error")


def _hosts(host: str) -> Mapping[str, None]:
    has_port = re.search(r":\d+$", host) is not None
    return dict.fromkeys([host] if has_port else [host, f"{host}:443", f"{host}:80"])


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _bytes(text: str) -> bytes:
    """UTF-8; header bytes that are none arrive as surrogates and become those bytes again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidAuthParams("The request holds text that no encoding has") from None
