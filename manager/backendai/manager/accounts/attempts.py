"""How often somebody may try a password: a few times in a while from one address, so that nobody is
locked out by what others try elsewhere.

When Redis is away nobody is locked out; a password still costs its time to be tried.
"""

import hashlib
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backendai.common.faults import RateLimited
from backendai.common.logs import get_logger

log = get_logger(__name__)

TRIES_MAX: Final = 10
WINDOW_SECONDS: Final = 1200
# Of all accounts together: one password for many is guessing too.
ADDRESS_TRIES_MAX: Final = 100


class Attempts:
    """Counts tries by what they are for, such as an account."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def begin(self, what: str, tries_max: int = TRIES_MAX) -> None:
        """Count a try before it is made, so that many at once are counted too.

        Raises RateLimited after `tries_max` until the window is over.
        """
        key = _key_of(what)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                queued = [pipe.incr(key), pipe.expire(key, WINDOW_SECONDS, nx=True), pipe.ttl(key)]
                tries, _, left = (await pipe.execute())[: len(queued)]
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("attempts.redis_away", error=repr(error))
            return
        if int(tries) > tries_max:
            raise RateLimited(
                "Too many tries; wait before the next one.",
                {"retryAfterSeconds": max(1, int(left)), "limit": tries_max},
            )

    async def clear(self, what: str) -> None:
        """A try was right: the others are forgotten."""
        try:
            await self._redis.delete(_key_of(what))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("attempts.redis_away", error=repr(error))

    async def take_back(self, what: str) -> None:
        """The last try was right; the others still count."""
        try:
            await self._redis.decr(_key_of(what))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("attempts.redis_away", error=repr(error))


def _key_of(what: str) -> str:
    return f"tries:{hashlib.sha256(what.encode('utf-8')).hexdigest()[:32]}"
