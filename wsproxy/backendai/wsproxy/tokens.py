"""Tokens in addresses: HS256, one key per purpose, short-lived, each for one thing alone.

A conf token lets its holder make circuits to one app; a setup token is good once, for the permit
of one browser.
"""

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

import jwt
import msgspec
from jwt.types import Options

from backendai.common.clock import Clock
from backendai.common.contracts.wsproxy import AppFacts, ProxyConf, derive_key
from backendai.common.faults import AuthFailed
from backendai.common.relay_secrets import Secrets

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
    """`secrets` are those that managers have too."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def sign_conf(self, body: ProxyConf) -> str:
        claims = ConfClaims(
            aud=_CONF_AUDIENCE,
            exp=self._expiry(CONF_SECONDS),
            **msgspec.structs.asdict(body.session),
            **msgspec.structs.asdict(body.circuit),
        )
        return jwt.encode(msgspec.to_builtins(claims), self._signing(_CONF_INFO), ALGORITHM)

    def read_conf(self, token: str) -> ConfClaims:
        """Raises AuthFailed."""
        return self._read(token, _CONF_INFO, ConfClaims, _CONF_AUDIENCE)[0]

    def sign_setup(self, circuit_id: uuid.UUID, redirect: str) -> str:
        claims = SetupClaims(
            aud=_SETUP_AUDIENCE,
            exp=self._expiry(SETUP_SECONDS),
            jti=secrets.token_urlsafe(24),
            circuit=circuit_id,
            redirect=redirect,
        )
        return jwt.encode(msgspec.to_builtins(claims), self._signing(_SETUP_INFO), ALGORITHM)

    def read_setup(self, token: str) -> SetupClaims:
        """Raises AuthFailed."""
        return self._read(token, _SETUP_INFO, SetupClaims, _SETUP_AUDIENCE)[0]

    def permit_of(self, token: str) -> str:
        """The permit that a setup token is exchanged for: the same each time, and kept once. It is
        made with the secret of the token: the next secret makes no second one. Raises AuthFailed.
        """
        claims, secret = self._read(token, _SETUP_INFO, SetupClaims, _SETUP_AUDIENCE)
        key = _derive(secret, _PERMIT_INFO)
        return hmac.digest(key, claims.jti.encode(), hashlib.sha256).hex()

    def closing_key(self, circuit_id: uuid.UUID) -> str:
        """What lets its holder take a circuit back, and nothing else."""
        return _closing_key(self._signing(_CLOSE_INFO), circuit_id)

    def is_closing_key(self, circuit_id: uuid.UUID, text: str) -> bool:
        keys = [_closing_key(key, circuit_id) for key in self._accepted(_CLOSE_INFO)]
        return text.isascii() and any(hmac.compare_digest(key, text) for key in keys)

    def _signing(self, info: bytes) -> bytes:
        return _derive(self._secrets.signing(), info)

    def _accepted(self, info: bytes) -> list[bytes]:
        return [_derive(secret, info) for secret in self._secrets.accepted()]

    def _expiry(self, seconds: float) -> int:
        at: datetime = self._clock.now() + timedelta(seconds=seconds)
        return int(at.timestamp())

    def _read(self, token: str, info: bytes, form: type[T], audience: str) -> tuple[T, bytes]:
        """What it says, and the secret that it was signed with."""
        if len(token) > TOKEN_CHARS_MAX:
            raise AuthFailed("The token is none.")
        accepted = self._secrets.accepted()
        opened = ((_open(token, _derive(each, info), form), each) for each in accepted)
        found, secret = next((pair for pair in opened if pair[0] is not None), (None, b""))
        if found is None:
            # What is wrong with it would tell a guesser how close it came.
            raise AuthFailed("The token is none.")
        if found.aud != audience:
            raise AuthFailed("The token is none.")
        if found.exp <= self._clock.now().timestamp():
            raise AuthFailed("The token has expired; open the app again.")
        return found, secret


def _open(token: str, key: bytes, form: type[T]) -> T | None:
    try:
        return msgspec.convert(jwt.decode(token, key, [ALGORITHM], options=_OPTIONS), form)
    except (jwt.InvalidTokenError, TypeError, ValueError):
        return None


def _closing_key(key: bytes, circuit_id: uuid.UUID) -> str:
    return hmac.digest(key, circuit_id.bytes, hashlib.sha256).hex()


_derive = lru_cache(maxsize=16)(derive_key)
