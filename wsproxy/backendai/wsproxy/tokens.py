"""Tokens in addresses: HS256, one key per purpose, short-lived, each for one thing alone.

A conf token lets its holder make circuits to one app; a setup token is good once, for the permit
of one browser.
"""

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Final, TypeVar

import jwt
import msgspec
from jwt.types import Options

from backendai.common.clock import Clock
from backendai.common.contracts.wsproxy import AppFacts, ProxyConf, derive_key
from backendai.common.faults import AuthFailed

ALGORITHM: Final = "HS256"
TOKEN_CHARS_MAX: Final = 4096
CONF_SECONDS: Final = 15 * 60.0
SETUP_SECONDS: Final = 5 * 60.0
_CONF_INFO: Final = b"backendai wsproxy token"
_SETUP_INFO: Final = b"backendai wsproxy setup"
_PERMIT_INFO: Final = b"backendai wsproxy permit"
_CLOSE_INFO: Final = b"backendai wsproxy close"
_CONF_AUDIENCE: Final = "backendai-wsproxy-conf"
_SETUP_AUDIENCE: Final = "backendai-wsproxy-setup"
# Times are compared with the clock that this daemon was given.
_OPTIONS: Final[Options] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_aud": False,
}


class ConfClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may open which app; `exp` is in Unix seconds. The login's own token is not in it."""

    aud: str
    exp: int
    id: uuid.UUID
    user_uuid: uuid.UUID
    access_key: str
    domain_name: str = ""
    group_id: uuid.UUID | None = None
    agent_id: str
    kernel_id: uuid.UUID
    generation: int
    app: str
    port: int
    protocol: str

    @property
    def circuit(self) -> AppFacts:
        return AppFacts(
            agent_id=self.agent_id,
            kernel_id=self.kernel_id,
            generation=self.generation,
            app=self.app,
            port=self.port,
            protocol=self.protocol,
        )


class SetupClaims(msgspec.Struct, frozen=True, kw_only=True):
    """`redirect` is a path of the app; `jti` what makes it good once."""

    aud: str
    exp: int
    jti: str
    circuit: uuid.UUID
    redirect: str
    version: str = "v2"


T = TypeVar("T", ConfClaims, SetupClaims)


class TokenBox:
    """`secret` is the one that managers have too."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._conf_key = derive_key(secret, _CONF_INFO)
        self._setup_key = derive_key(secret, _SETUP_INFO)
        self._permit_key = derive_key(secret, _PERMIT_INFO)
        self._close_key = derive_key(secret, _CLOSE_INFO)
        self._clock = clock

    def sign_conf(self, body: ProxyConf) -> str:
        claims = ConfClaims(
            aud=_CONF_AUDIENCE,
            exp=self._expiry(CONF_SECONDS),
            **msgspec.structs.asdict(body.session),
            **msgspec.structs.asdict(body.circuit),
        )
        return jwt.encode(msgspec.to_builtins(claims), self._conf_key, ALGORITHM)

    def read_conf(self, token: str) -> ConfClaims:
        """Raises AuthFailed."""
        return self._read(token, self._conf_key, ConfClaims, _CONF_AUDIENCE)

    def sign_setup(self, circuit_id: uuid.UUID, redirect: str) -> str:
        claims = SetupClaims(
            aud=_SETUP_AUDIENCE,
            exp=self._expiry(SETUP_SECONDS),
            jti=secrets.token_urlsafe(24),
            circuit=circuit_id,
            redirect=redirect,
        )
        return jwt.encode(msgspec.to_builtins(claims), self._setup_key, ALGORITHM)

    def read_setup(self, token: str) -> SetupClaims:
        """Raises AuthFailed."""
        return self._read(token, self._setup_key, SetupClaims, _SETUP_AUDIENCE)

    def permit_of(self, claims: SetupClaims) -> str:
        """The permit that a setup token is exchanged for: the same each time, and kept once."""
        return hmac.digest(self._permit_key, claims.jti.encode(), hashlib.sha256).hex()

    def closing_key(self, circuit_id: uuid.UUID) -> str:
        """What lets its holder take a circuit back, and nothing else."""
        return hmac.digest(self._close_key, circuit_id.bytes, hashlib.sha256).hex()

    def is_closing_key(self, circuit_id: uuid.UUID, text: str) -> bool:
        return text.isascii() and hmac.compare_digest(self.closing_key(circuit_id), text)

    def _expiry(self, seconds: float) -> int:
        at: datetime = self._clock.now() + timedelta(seconds=seconds)
        return int(at.timestamp())

    def _read(self, token: str, key: bytes, form: type[T], audience: str) -> T:
        if len(token) > TOKEN_CHARS_MAX:
            raise AuthFailed("The token is none.")
        try:
            found = msgspec.convert(jwt.decode(token, key, [ALGORITHM], options=_OPTIONS), form)
        except (jwt.InvalidTokenError, TypeError, ValueError):
            # Which of them it was would tell a guesser how close it came.
            raise AuthFailed("The token is none.") from None
        if found.aud != audience:
            raise AuthFailed("The token is none.")
        if found.exp <= self._clock.now().timestamp():
            raise AuthFailed("The token has expired; open the app again.")
        return found
