"""Passwords as argon2id. Its cost here: 19 MiB, 2 passes, 1 lane, beside the event loop."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backendai.common.faults import InvalidParams, Unavailable

PASSWORD_BYTES_MAX: Final = 1024
# Each needs a core for some 20 ms: no more at once than leave room for the API.
HASHES_AT_ONCE: Final = 2
WAITING_MAX: Final = 64

_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_threads: Final = ThreadPoolExecutor(HASHES_AT_ONCE, "password")
_waiting = asyncio.BoundedSemaphore(WAITING_MAX)


async def hash_password(password: str) -> str:
    """An argon2id hash. Raises InvalidParams on a password longer than 1 KiB or with NUL."""
    text = _normalised(password)
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, text)


async def verify_password(hashed: str | None, password: str) -> bool:
    """Whether `password` is the one of `hashed`; None is nobody's and costs as much.

    Raises Unavailable while too many are asked about, and as `hash_password`.
    """
    text = _normalised(password)
    if _waiting.locked():
        raise Unavailable("Too many log in at once; try again in a moment.")
    async with _waiting:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_threads, _verify, hashed, text)


def _verify(hashed: str | None, text: str) -> bool:
    try:
        _hasher.verify(hashed or _nobodys(), text)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


@cache
def _nobodys() -> str:
    """Verified where there is no such account, so that the time does not tell."""
    return _hasher.hash("nobody has this password")


def _normalised(password: str) -> str:
    text = unicodedata.normalize("NFKC", password)
    if len(text.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX or "\0" in text:
        raise InvalidParams(
            facts={"password": f"write at most {PASSWORD_BYTES_MAX} bytes and no NUL"}
        )
    return text
