"""Passwords as argon2id, hashed in a small pool of threads so that a flood of logins stays outside.

Argon2's cost here: 19 MiB, 2 passes, 1 lane.
"""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backendai.common.faults import InvalidParams, Unavailable

PASSWORD_BYTES_MAX: Final = 1024
THREADS: Final = 2
WAITING_MAX: Final = 16

_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified when there is no such user, so that the time tells nothing.
_NOBODY: Final = _hasher.hash("nobody knows this one")


def hash_password(password: str) -> str:
    """An argon2id hash. Raises InvalidParams on a password longer than 1 KiB or with NUL."""
    return _hasher.hash(_normalised(password))


class PasswordChecker:
    """Compares passwords with stored hashes, at most `THREADS` at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the stored one; always False, as slowly, when nothing is stored.

        Raises Unavailable when too many are waiting.
        """
        text = _normalised(password)
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many logins at once; try again in a moment.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            same = await loop.run_in_executor(self._pool, _verify, stored or _NOBODY, text)
        finally:
            self._waiting -= 1
        return same and stored is not None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _normalised(password: str) -> str:
    text = unicodedata.normalize("NFKC", password)
    if len(text.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX or "\0" in text:
        raise InvalidParams(
            facts={"password": f"write at most {PASSWORD_BYTES_MAX} bytes and no NUL"}
        )
    return text


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
