"""How often a key asks, and whether a request was seen before: one Redis pipeline per request.

The window of 15 minutes rolls: the last whole window counts by the part that is still inside. When
Redis is away nobody is limited; what this process itself saw is still refused when it comes again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed, RateLimited
from backendai.common.logs import get_logger

log = get_logger(__name__)

WINDOW_SECONDS: Final = 900
ANONYMOUS_LIMIT: Final = 1000
# A signature lives as long as its date may lie behind and ahead of our clock.
REPLAY_SECONDS: Final = 2 * WINDOW_SECONDS
REMEMBERED_MAX: Final = 200_000
# After a failure Redis is left alone for this long, so that requests do not wait for it.
PAUSE_SECONDS: Final = 1.0
# Requests dated before the memory of signatures began cannot be told from repeated ones; those
# that were under way when it began are let through.
MEMORY_GRACE: Final = timedelta(seconds=15)
_SINCE_KEY: Final = "gate:since"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the X-RateLimit headers say."""

    limit: int
    remaining: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Window": str(WINDOW_SECONDS),
        }


ANONYMOUS: Final = Allowance(ANONYMOUS_LIMIT, ANONYMOUS_LIMIT)


class SignedOnce(Protocol):
    """What identifies one signed request."""

    @property
    def signature(self) -> str: ...

    @property
    def date(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Once:
    signature: str
    date: datetime


class Limiter:
    """Counts requests per access key and remembers the signatures of those that change things."""

    def __init__(self, redis: "Redis", clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._began = clock.now()
        self._paused_until = 0.0
        self._seen: dict[str, None] = {}

    async def admit(self, access_key: str, limit: int, once: SignedOnce | None) -> Allowance:
        """Count one request. `once` is given where a repetition would do something twice.

        Raises AuthFailed for a repeated signature, RateLimited beyond the limit.
        """
        if once is not None:
            self._remember(once.signature)
        if self._clock.monotonic() < self._paused_until:
            return self._unlimited(limit, once)
        try:
            return await self._count(access_key, limit, once)
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = self._clock.monotonic() + PAUSE_SECONDS
            log.warning("gate.redis_away", error=repr(error))
            return self._unlimited(limit, once)

    async def _count(self, access_key: str, limit: int, once: SignedOnce | None) -> Allowance:
        now = self._clock.now().timestamp()
        window, passed = divmod(now, WINDOW_SECONDS)
        key = f"rate:{access_key}:{int(window)}"
        async with self._redis.pipeline(transaction=False) as pipe:
            # Queued, and answered all at once by `execute`.
            queued: list[object] = [
                pipe.incr(key),
                pipe.get(f"rate:{access_key}:{int(window) - 1}"),
                pipe.expire(key, 2 * WINDOW_SECONDS, nx=True),
            ]
            if once is not None:
                since = (self._clock.now() - MEMORY_GRACE).isoformat()
                queued += [
                    pipe.set(f"seen:{once.signature}", 1, nx=True, ex=REPLAY_SECONDS),
                    pipe.set(_SINCE_KEY, since, nx=True),
                    pipe.get(_SINCE_KEY),
                ]
            replies = await pipe.execute()
        if once is not None:
            _refuse_repetition(once, is_new=bool(replies[3]), since=replies[5])
        used = int(replies[0]) + int(int(replies[1] or 0) * (1 - passed / WINDOW_SECONDS))
        if used > limit:
            retry = int(WINDOW_SECONDS - passed) + 1
            raise RateLimited(facts={"retryAfterSeconds": retry, "limit": limit})
        return Allowance(limit, max(0, limit - used))

    def _remember(self, signature: str) -> None:
        if signature in self._seen:
            raise AuthFailed("This request was received before: sign it anew.")
        self._seen[signature] = None
        if len(self._seen) > REMEMBERED_MAX:
            del self._seen[next(iter(self._seen))]

    def _unlimited(self, limit: int, once: SignedOnce | None) -> Allowance:
        if once is not None and once.date < self._began - MEMORY_GRACE:
            raise AuthFailed("This request is older than this server's memory: sign it anew.")
        return Allowance(limit, limit)


def _refuse_repetition(once: SignedOnce, *, is_new: bool, since: bytes | str) -> None:
    if not is_new:
        raise AuthFailed("This request was received before: sign it anew.")
    text = since.decode() if isinstance(since, bytes) else since
    if once.date < datetime.fromisoformat(text):
        raise AuthFailed("This request is older than this server's memory: sign it anew.")
