"""Passwords as argon2id. Its cost here: 19 MiB, 2 passes, 1 lane, beside the event loop."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher

from backendai.common.faults import InvalidParams

PASSWORD_BYTES_MAX: Final = 1024
# Each needs a core for some 20 ms: no more at once than leave room for the API.
HASHES_AT_ONCE: Final = 2

_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_threads: Final = ThreadPoolExecutor(HASHES_AT_ONCE, "password")


async def hash_password(password: str) -> str:
    """An argon2id hash. Raises InvalidParams on a password longer than 1 KiB or with NUL."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _hasher.hash, _normalised(password))


def _normalised(password: str) -> str:
    text = unicodedata.normalize("NFKC", password)
    if len(text.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX or "\0" in text:
        raise InvalidParams(
            facts={"password": f"write at most {PASSWORD_BYTES_MAX} bytes and no NUL"}
        )
    return text
