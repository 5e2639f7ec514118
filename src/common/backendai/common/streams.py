"""Hints between processes over Redis streams: "look now", never the only word of anything.

A subscriber gets every payload while all is well, and a gap mark whenever some may be missing: at
its start, after a reconnect, after the store was found empty. At a gap it reads the level from the
database.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from .clock import Clock
from .failpoints import failpoint
from .faults import StoreUnavailable
from .logs import get_logger
from .settings.sections import RedisSettings

log = get_logger(__name__)

STREAM_ENTRIES_MAX: Final = 10_000
BLOCK_SECONDS: Final = 5.0
READ_ENTRIES_MAX: Final = 500
# Of one client. More than so many commands at once wait for each other instead of failing.
CONNECTIONS_MAX: Final = 32
MEMORY_BATCHES_MAX: Final = 1_000
_FIELD: Final = b"d"
_START: Final = b"0-0"
# One that does not say at once who is the master is passed over.
_SENTINEL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_STORE_ERRORS: Final = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Batch:
    """`is_gap` says that payloads before these may be missing; it comes with none of its own."""

    payloads: tuple[bytes, ...] = ()
    is_gap: bool = False


GAP: Final = Batch(is_gap=True)


class Hints(Protocol):
    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Send all payloads in one go. Raises StoreUnavailable."""
        ...

    def subscribe(self, topic: str) -> AsyncGenerator[Batch, None]:
        """A gap, then what is published from now on, for ever; outlives restarts of the store."""
        ...


def open_redis(
    settings: RedisSettings, *, timeout_seconds: float = 5.0, retries: int = 1
) -> "redis.asyncio.Redis":
    """A client that gives up in bounded time. Connects at its first command.

    With Sentinels it asks them before each connection which server is the master.
    """
    limits = {
        "socket_connect_timeout": min(timeout_seconds, 3.0),
        "socket_timeout": timeout_seconds,
        "socket_keepalive": True,
    }
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries) if retries else _no_retry()
    options: dict[str, Any] = {
        **limits,
        "db": settings.db,
        "password": settings.password or None,
        "health_check_interval": 15,
        "retry": retry,
        "max_connections": CONNECTIONS_MAX,
        "timeout": timeout_seconds,
    }
    if settings.sentinels:
        return _open_by_sentinels(settings, options)
    addr = settings.addr
    pool = redis.asyncio.BlockingConnectionPool(host=addr.host, port=addr.port, **options)
    return redis.asyncio.Redis.from_pool(pool)


def _open_by_sentinels(settings: RedisSettings, options: dict[str, Any]) -> "_OfSentinels":
    make_sentinel: Any = Sentinel
    sentinel = make_sentinel(
        [(address.host, address.port) for address in settings.sentinels],
        sentinel_kwargs={
            "password": settings.sentinel_password or None,
            "socket_connect_timeout": _SENTINEL_SECONDS,
            "socket_timeout": _SENTINEL_SECONDS,
            "retry": _no_retry(),
        },
    )
    opened: _OfSentinels = sentinel.master_for(
        settings.service_name, _OfSentinels, connection_pool_class=_SentinelPool, **options
    )
    opened.asked = sentinel
    return opened


class _SentinelPool(SentinelConnectionPool, redis.asyncio.BlockingConnectionPool):
    """Connections to whoever is the master; who finds all of them in use waits for one."""


class _OfSentinels(redis.asyncio.Redis):
    """A client that takes its Sentinels with it when it is closed."""

    asked: Any

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        await self.asked.aclose()


class RedisHints:
    """Hints on the Redis that `settings` names."""

    def __init__(self, settings: RedisSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: Any = open_redis(settings)

    async def close(self) -> None:
        await self._client.aclose()

    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        if not payloads:
            return
        pipe = self._client.pipeline(transaction=False)
        for payload in payloads:
            pipe.xadd(topic, {_FIELD: payload}, maxlen=STREAM_ENTRIES_MAX, approximate=True)
        await failpoint("hints.before_publish")
        try:
            await pipe.execute()
        except _STORE_ERRORS as error:
            raise StoreUnavailable(f"Redis at {self._settings.place} does not answer") from error
        await failpoint("hints.after_publish")

    async def subscribe(self, topic: str) -> AsyncGenerator[Batch, None]:
        reader: Any = open_redis(self._settings, timeout_seconds=BLOCK_SECONDS * 2, retries=0)
        cursor = _Cursor(reader, topic)
        failures = 0
        try:
            while True:
                try:
                    batch = await cursor.read()
                except _STORE_ERRORS as error:
                    log.warning("hints.store_away", topic=topic, cause=repr(error))
                    await self._clock.sleep(_RETRY_SECONDS[min(failures, 4)])
                    failures += 1
                    cursor.is_doubtful = True
                    continue
                failures = 0
                if batch is not None:
                    yield batch
        finally:
            await reader.aclose()


class _Cursor:
    """Where a subscriber is in its stream. In doubt it compares itself with the stream's end."""

    def __init__(self, reader: Any, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self._position: bytes | None = None
        self.is_doubtful = False

    async def read(self) -> Batch | None:
        """The next batch; None when nothing came for a while."""
        if self._position is None or self.is_doubtful:
            self._position = await self._end_or_below()
            self.is_doubtful = False
            return GAP
        entries = await self._entries_after(self._position)
        if entries:
            self._position = entries[-1][0]
            return Batch(tuple(fields[_FIELD] for _, fields in entries if _FIELD in fields))
        self.is_doubtful = _order(await self._end()) < _order(self._position)
        return None

    async def _end_or_below(self) -> bytes:
        """Where to read on: where it was, unless the stream is new or began anew below that."""
        end = await self._end()
        if self._position is None or _order(end) < _order(self._position):
            return end
        return self._position

    async def _end(self) -> bytes:
        newest = await self._reader.xrevrange(self._topic, count=1)
        return newest[0][0] if newest else _START

    async def _entries_after(self, position: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        reply = await self._reader.xread(
            {self._topic: position}, count=READ_ENTRIES_MAX, block=int(BLOCK_SECONDS * 1000)
        )
        # A mapping of streams in RESP3, whose entries are nested once more; a list in RESP2.
        streams = list(reply.items()) if isinstance(reply, dict) else list(reply or ())
        entries: list[Any] = streams[0][1] if streams else []
        if entries and isinstance(entries[0], list):
            entries = entries[0]
        return [(entry[0], entry[1]) for entry in entries]


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number or b"0")


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


class MemoryHints:
    """Hints within this process, for simulations and tests."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[asyncio.Queue[Batch]]] = {}
        self.is_away = False

    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        if self.is_away:
            raise StoreUnavailable("the hints store does not answer")
        if payloads:
            for queue in self._subscribers.get(topic, ()):
                _offer(queue, Batch(tuple(payloads)))

    async def subscribe(self, topic: str) -> AsyncGenerator[Batch, None]:
        queue: asyncio.Queue[Batch] = asyncio.Queue(MEMORY_BATCHES_MAX)
        subscribers = self._subscribers.setdefault(topic, set())
        subscribers.add(queue)
        try:
            yield GAP
            while True:
                yield await queue.get()
        finally:
            subscribers.discard(queue)

    def empty(self) -> None:
        """Lose all that was not yet read, as a flushed store does."""
        for queues in self._subscribers.values():
            for queue in queues:
                _clear(queue)
                _offer(queue, GAP)


def _offer(queue: asyncio.Queue[Batch], batch: Batch) -> None:
    if queue.full():
        _clear(queue)
        queue.put_nowait(GAP)
    queue.put_nowait(batch)


def _clear(queue: asyncio.Queue[Batch]) -> None:
    while not queue.empty():
        queue.get_nowait()
