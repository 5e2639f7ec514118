"""Bodies that browsers and newer clients encode where the address they ask is not https.

A form on the wire, and no protection: its key is made of that address, which the same request
names for everybody to read.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from .faults import BadRequest

ENCODED_HEADER: Final = "X-BackendAI-Encoded"
# Such bodies carry passwords and accounts, nothing large.
ENCODED_BYTES_MAX: Final = 65536
_KEY_CHARS: Final = 32
_FORM: Final = re.compile(rb"([\x21-\x7e]{16}):([A-Za-z0-9+/]+={0,2})")


class _Headers(Protocol):
    def get(self, name: str, default: str, /) -> str: ...


def is_encoded(headers: _Headers) -> bool:
    return headers.get(ENCODED_HEADER, "").lower() == "true"


def decode_body(body: bytes, host: str) -> bytes:
    """What was encoded for an endpoint at `host` (the header Host): text. Raises BadRequest."""
    if len(body) > ENCODED_BYTES_MAX:
        raise BadRequest(f"An encoded body has at most {ENCODED_BYTES_MAX} bytes")
    form = _FORM.fullmatch(body.strip())
    if form is None:
        raise BadRequest("An encoded body is written as 16 characters, a colon, and base64")
    start = form[1].decode("ascii")
    try:
        sealed = base64.b64decode(form[2])
    except binascii.Error as error:
        raise BadRequest(f"The encoded body is no base64: {error}") from None
    for endpoint in _endpoints(host):
        opened = _open(sealed, endpoint, start)
        if opened is not None:
            return opened
    raise BadRequest("The body was encoded for another address than the one that is asked")


def _endpoints(host: str) -> Iterator[str]:
    """What the client may have been told, and made its key of, to come to `host`."""
    for scheme in ("http", "https"):
        yield f"{scheme}://{host}"
        yield f"{scheme}://{host}/"


def _open(sealed: bytes, endpoint: str, start: str) -> bytes | None:
    """None when it was sealed for another endpoint: then it ends oddly, or is no text."""
    unpadder = PKCS7(algorithms.AES.block_size).unpadder()
    try:
        decryptor = make_cipher(endpoint, start).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        opened = unpadder.update(padded) + unpadder.finalize()
        opened.decode("utf-8")
    except ValueError:
        return None
    return opened


def make_cipher(endpoint: str, start: str) -> Cipher[modes.CBC]:
    """What encodes for `endpoint`; `start` is 16 ASCII characters. Raises UnicodeEncodeError."""
    words = base64.b64encode(endpoint.encode("utf-8")).decode("ascii") + start + start
    key = words[:_KEY_CHARS].encode("ascii")
    return Cipher(algorithms.AES(key), modes.CBC(start.encode("ascii")))
