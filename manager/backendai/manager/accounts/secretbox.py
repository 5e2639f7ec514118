"""Secret keys at rest: AES-256-GCM under a key from a file, bound to the access key.

The layout is version (1 byte), key id (4), nonce (12), ciphertext with tag. The key id tells which
key sealed it, so that a key can be replaced row by row.
"""

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backendai.common.faults import ServerMisconfigured

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 4


class SecretBox:
    """Seals and opens the secret of a keypair."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = key_id(key)

    def seal(self, access_key: str, secret: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode("utf-8"), access_key.encode("utf-8"))
        return _VERSION + self._key_id + nonce + sealed

    def open(self, access_key: str, sealed: bytes) -> str:
        """The secret. Raises ServerMisconfigured when this key did not seal it for this row."""
        head = len(_VERSION) + _ID_BYTES
        nonce, body = sealed[head : head + _NONCE_BYTES], sealed[head + _NONCE_BYTES :]
        try:
            if sealed[:head] != _VERSION + self._key_id:
                raise InvalidTag
            return self._cipher.decrypt(nonce, body, access_key.encode("utf-8")).decode("utf-8")
        except (InvalidTag, ValueError) as error:
            raise ServerMisconfigured(
                "A stored secret cannot be opened with the key of [manager] secret-key-file."
            ) from error


def key_id(key: bytes) -> bytes:
    """What tells sealed rows and archives which key it was; it says nothing else of the key."""
    return hashlib.sha256(b"backendai.secretbox" + key).digest()[:_ID_BYTES]


def load_secret_key(path: Path) -> bytes:
    """The 32 bytes in `path` (base64). Raises ServerMisconfigured naming what is wrong."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServerMisconfigured(f"secret-key-file {path} cannot be read: {error}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ServerMisconfigured(
            f"secret-key-file {path} may be read by others: run chmod 0600 {path}"
        )
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ServerMisconfigured(f"secret-key-file {path} is not base64: {error}") from error
    if len(key) != KEY_BYTES:
        raise ServerMisconfigured(
            f"secret-key-file {path} holds {len(key)} bytes; it needs {KEY_BYTES} random ones"
        )
    return key


def write_secret_key(path: Path) -> None:
    """Make a new random key at `path`, readable by its owner alone. Never overwrites one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii") + "\n")
