"""What a login is, and its sealed form. Pure but for the sealing's nonce."""

import hashlib
import os
import re
import secrets
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")

T = TypeVar("T")


class Keypair(msgspec.Struct, frozen=True):
    """What authorising gave. `role` and `status` are the user's, and so is the time when the
    password was set: managers refuse who logged in with one before."""

    access_key: str
    secret_key: str
    role: str
    status: str
    password_changed_at: str = ""

    def __repr__(self) -> str:
        return f"Keypair({self.access_key})"


class Login(msgspec.Struct, frozen=True):
    """One browser, or other client, of one user. `name` is what was typed; `agent` is what the
    client calls itself."""

    keypair: Keypair
    name: str
    domain: str
    created_at: datetime
    expires_at: datetime
    address: str
    agent: str


def make_token() -> str:
    """256 random bits as 43 letters."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def digest_of(token: str) -> str:
    """What Redis knows a login by: nobody logs in with what is read there."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


class Vault(Generic[T]):
    """Seals values of one kind under the webserver's key (AES-256-GCM), each bound to a name."""

    def __init__(self, key: bytes, kind: type[T]) -> None:
        self._cipher = AESGCM(key)
        self._kind = kind

    def seal(self, name: str, value: T) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        plain = msgspec.msgpack.encode(value)
        return nonce + self._cipher.encrypt(nonce, plain, name.encode("ascii"))

    def open(self, name: str, sealed: bytes) -> T | None:
        """None when it was sealed by another key, under another name, or in another form."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            plain = self._cipher.decrypt(nonce, body, name.encode("ascii"))
            return msgspec.msgpack.decode(plain, type=self._kind)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            return None
