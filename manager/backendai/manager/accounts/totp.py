"""One-time codes of a device (RFC 6238: SHA-1, 30 seconds, 6 digits), as every such app makes them.
Pure but for making keys.
"""

import base64
import hmac
import os
import struct
from typing import Final
from urllib.parse import quote, urlencode

STEP_SECONDS: Final = 30
DIGITS: Final = 6
# Clocks of devices differ, and people type slowly.
DRIFT_STEPS: Final = 1
_KEY_BYTES: Final = 20


def make_key() -> str:
    """160 random bits in base32, the form that devices read."""
    return base64.b32encode(os.urandom(_KEY_BYTES)).decode("ascii")


def code_of(key: str, step: int) -> str:
    """The code of the 30 seconds that begin at `step` * 30 of the Unix time."""
    digest = hmac.digest(base64.b32decode(key), struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def find_step(key: str, code: str, at: float, used: int | None) -> int | None:
    """The step that `code` is of, near the Unix time `at` and later than the last one `used`."""
    given = code.strip().encode("utf-8", "replace")
    now = int(at) // STEP_SECONDS
    steps = range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
    right = [step for step in steps if hmac.compare_digest(code_of(key, step).encode(), given)]
    return next((step for step in right if used is None or step > used), None)


def uri_of(key: str, email: str, issuer: str) -> str:
    """What the QR code for a device says."""
    label = quote(f"{issuer}:{email}", safe="")
    query = urlencode({"secret": key, "issuer": issuer, "digits": DIGITS, "period": STEP_SECONDS})
    return f"otpauth://totp/{label}?{query}"
