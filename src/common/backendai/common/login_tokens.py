"""What a webserver, or another site that people come from, tells managers of somebody who proved
elsewhere who he or she is: a JWT (HS256) under a key that both have, good for one login.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import jwt
import msgspec
from jwt.types import Options

from .faults import AuthFailed

AUDIENCE: Final = "backendai-manager"
LIFE: Final = timedelta(seconds=60)
TOKEN_CHARS_MAX: Final = 4096
_ALGORITHM: Final = "HS256"
# Times are compared with the clock of whoever reads.
_OPTIONS: Final[Options] = {"verify_exp": False, "verify_iat": False, "require": ["aud", "exp"]}


class LoginClaims(msgspec.Struct, frozen=True):
    """`sub` is the email, `name` the full name; `jti` tells logins apart."""

    sub: str
    jti: str
    name: str = ""


def sign_login(claims: LoginClaims, key: bytes, now: datetime) -> str:
    body = msgspec.to_builtins(claims)
    own = {"aud": AUDIENCE, "exp": int((now + LIFE).timestamp())}
    return jwt.encode({**body, **own}, key, _ALGORITHM)


def read_login(token: str, key: bytes, now: datetime) -> LoginClaims:
    """Raises AuthFailed; of why, no more than the reader needs."""
    try:
        found = _decode(token, key)
        claims = msgspec.convert(found, LoginClaims)
        ends = float(found["exp"])
    except (jwt.PyJWTError, msgspec.ValidationError, TypeError, ValueError) as error:
        raise AuthFailed("The token is not one to log in with.") from error
    latest = (now + 2 * LIFE).timestamp()
    if not now.timestamp() < ends <= latest:
        raise AuthFailed("The token to log in with is too old.")
    return claims


def _decode(token: str, key: bytes) -> dict[str, Any]:
    if len(token) > TOKEN_CHARS_MAX:
        raise ValueError("the token is too long")
    return jwt.decode(token, key, algorithms=[_ALGORITHM], audience=AUDIENCE, options=_OPTIONS)
