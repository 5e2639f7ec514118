"""Tokens that let a browser send or fetch one thing: HS256, one key per purpose, short-lived.

What a token opens is inside it; a token of one purpose is worth nothing for another.
"""

import enum
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import jwt
import msgspec
from jwt.types import Options

from backendai.common.clock import Clock
from backendai.common.faults import Forbidden
from backendai.common.upload_faults import TokenExpired, TokenForOther, TokenRefused

ALGORITHM: Final = "HS256"
TOKEN_CHARS_MAX: Final = 16 * 1024
# Times are compared with the clock that this daemon was given.
_OPTIONS: Final[Options] = {"verify_exp": False, "verify_iat": False}
_LABEL: Final = "backendai.storage.token."


class Purpose(enum.StrEnum):
    """What a token is for: `op` in its claims."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    CREATE = "create-upload"
    EXTRACT = "extract"


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says. `relpath` is below `dst_dir` below the folder; `exp` is in Unix seconds.

    `session` and `size` (bytes) are of uploads; `size` of `create-upload` is the largest allowed.
    """

    op: Purpose
    volume: str
    vfid: str
    relpath: str
    exp: int
    dst_dir: str | None = None
    size: int | None = None
    session: str | None = None
    archive: bool = False
    relpaths: tuple[str, ...] = ()
    remove: bool = False
    unmanaged_path: str | None = None


class TokenBox:
    """Signs and reads tokens. `secret` is the storage proxy's own."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self._keys = {purpose: _derive(secret, purpose) for purpose in Purpose}
        self._clock = clock

    def sign(self, claims: Claims) -> str:
        return jwt.encode(msgspec.to_builtins(claims), self._keys[claims.op], ALGORITHM)

    def read(self, token: str, *purposes: Purpose) -> Claims:
        """Raises TokenRefused, TokenExpired, TokenForOther, Forbidden."""
        claims = self._verify(token)
        if claims.exp <= self._clock.now().timestamp():
            raise TokenExpired("Ask for another one.")
        if claims.op not in purposes:
            raise TokenForOther(f"It is for {claims.op.value}.")
        if claims.unmanaged_path is not None:
            raise Forbidden("Paths outside of folders are not served.")
        return claims

    def _verify(self, token: str) -> Claims:
        """The claims, when their signature is by the key of the purpose that they name."""
        if len(token) > TOKEN_CHARS_MAX:
            raise TokenRefused
        try:
            named = jwt.decode(token, options={"verify_signature": False})
            key = self._keys[Purpose(named["op"])]
            found: Mapping[str, Any] = jwt.decode(token, key, [ALGORITHM], options=_OPTIONS)
            return msgspec.convert(found, Claims)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError):
            # Which of them it was would tell a guesser how close it came.
            raise TokenRefused from None


def expiry(at: datetime) -> int:
    """`exp` of a token that is good until `at`."""
    return int(at.timestamp())


def _derive(secret: str, purpose: Purpose) -> bytes:
    label = f"{_LABEL}{purpose.value}".encode()
    return hmac.digest(secret.encode("utf-8"), label, hashlib.sha256)
