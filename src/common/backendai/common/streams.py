"""Hints between processes over Redis streams: "look now", never the only word of anything.

A subscriber gets every payload while all is well, and a gap mark whenever some may be missing: at its
start, after a reconnect, after the store was emptied. At a gap it reads the level from the database.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from .clock import Clock
from .faults import StoreUnavailable
from .logs import get_logger
from .settings.sections import RedisSettings

log = get_logger(__name__)

STREAM_ENTRIES_MAX: Final = 10_000
BLOCK_SECONDS: Final = 5.0
READ_ENTRIES_MAX: Final = 500
MEMORY_BATCHES_MAX: Final = 1_000
_FIELD: Final = b"d"
_START: Final = b"0-0"
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
    """A client that gives up in bounded time. Connects at its first command."""
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries) if retries else _no_retry()
    return redis.asyncio.Redis(
        host=settings.addr.host,
        port=settings.addr.port,
        db=settings.db,
        password=settings.password or None,
        socket_connect_timeout=min(timeout_seconds, 3.0),
        socket_timeout=timeout_seconds,
        socket_keepalive=True,
        health_check_interval=15,
        retry=retry,
    )


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
        try:
            await pipe.execute()
        except _STORE_ERRORS as error:
            raise StoreUnavailable(f"Redis at {self._settings.addr} does not answer") from error

    async def subscribe(self, topic: str) -> AsyncGenerator[Batch, None]:
        reader: Any = open_redis(self._settings, timeout_seconds=BLOCK_SECONDS * 2, retries=0)
        failures = 0
        last: bytes | None = None
        try:
            while True:
                try:
                    position = await _position(reader, topic, last)
                    if position != last or failures:
                        last, failures = position, 0
                        yield GAP
                    entries = await _read(reader, topic, position)
                except _STORE_ERRORS as error:
                    log.warning("hints.store_away", topic=topic, cause=repr(error))
                    await self._clock.sleep(_RETRY_SECONDS[min(failures, 4)])
                    failures += 1
                    continue
                if entries:
                    last = entries[-1][0]
                    yield Batch(tuple(fields[_FIELD] for _, fields in entries if _FIELD in fields))
        finally:
            await reader.aclose()


async def _position(reader: Any, topic: str, last: bytes | None) -> bytes:
    """Where to read on: after `last`, unless the stream began anew below it."""
    newest = await reader.xrevrange(topic, count=1)
    end: bytes = newest[0][0] if newest else _START
    if last is None or _order(end) < _order(last):
        return end
    return last


async def _read(reader: Any, topic: str, position: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
    reply = await reader.xread(
        {topic: position}, count=READ_ENTRIES_MAX, block=int(BLOCK_SECONDS * 1000)
    )
    # A mapping of streams in RESP3, a list of pairs in RESP2; the entries may be nested once more.
    streams = list(reply.items()) if isinstance(reply, dict) else list(reply or ())
    entries: list[Any] = streams[0][1] if streams else []
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], tuple):
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
