"""Secret keys at rest: AES-256-GCM under a key from a file, bound to the access key.

The layout is version (1 byte), key id (4), nonce (12), ciphertext with tag. The key id tells which
key sealed it, so that a key can be replaced row by row.
"""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backendai.common.faults import ServerMisconfigured

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 4


class SecretBox:
    """Seals and opens the secret of a keypair."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._key_id = key_id(key)

    def seal(self, access_key: str, secret: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode("utf-8"), access_key.encode("utf-8"))
        return _VERSION + self._key_id + nonce + sealed

    def derive_cluster_seed(self, session_id: str) -> bytes:
        """32 bytes that the kernels of a session make their key of: the same at each asking, and
        kept nowhere."""
        return hmac.digest(self._key, f"backendai.cluster-key:{session_id}".encode(), "sha256")

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
