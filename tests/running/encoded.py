"""Bodies as a newer client encodes them where the address that it asks is not https."""

import base64

from cryptography.hazmat.primitives.padding import PKCS7

from backendai.common.encoded import make_cipher

START = "0123456789abcdef"


def encode_body(body: bytes, endpoint: str) -> bytes:
    padder = PKCS7(128).padder()
    encryptor = make_cipher(endpoint, START).encryptor()
    sealed = encryptor.update(padder.update(body) + padder.finalize()) + encryptor.finalize()
    return START.encode() + b":" + base64.b64encode(sealed)
