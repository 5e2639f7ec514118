"""asyncio over the blocking docker SDK: bounded threads, HTTP limits, errors in the engine's words.

Short questions and long work have threads of their own, so that an engine that hangs in one cannot
starve the other; each stream has one thread and one connection, closed when the reader leaves.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests
import urllib3

from backendai.agent.faults import (
    ContainerMissing,
    ContainerSpoiled,
    EngineRefused,
    EngineUnreachable,
    NetworkMissing,
)
from backendai.common.metrics import CallMeter
from backendai.common.spans import Span, SpanKind
from backendai.common.tracing import span

ASK_TIMEOUT_SECONDS: Final = 8
WORK_TIMEOUT_SECONDS: Final = 110
ASK_THREADS: Final = 3
WORK_THREADS: Final = 8
STREAM_ITEMS_MAX: Final = 256

# What Docker says while the daemon below it, containerd, has died or is coming back.
HALF_AWAY: Final = (
    "transport is closing",
    "connection error",
    "code = unavailable",
    ": unavailable",
)
# What it says of a container whose start its death, or that of containerd, interrupted: the task or
# the folder of the first try is in the way of a second.
HALF_STARTED: Final = (("task", "already exists"), ("start shim", "file exists"))
# What it says where a network of the swarm is not there yet, or nobody who manages it answers.
NOT_ATTACHED: Final = ("could not attach to network", "attaching to network failed")

T = TypeVar("T")
Api = Any  # docker.APIClient has no types of its own
_AWAY: Final = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)


@dataclass(slots=True)
class _Lane:
    """Threads and connections for calls of one sort."""

    name: str
    threads: ThreadPoolExecutor
    workers: int
    timeout_seconds: int
    api: Api | None = None


class DockerClient:
    """Calls of the engine at `url`. It need not be there yet when this is made."""

    def __init__(self, url: str, calls: CallMeter | None = None) -> None:
        self._url = url
        self._calls = calls
        self._asking = _lane("ask", ASK_THREADS, ASK_TIMEOUT_SECONDS)
        self._working = _lane("work", WORK_THREADS, WORK_TIMEOUT_SECONDS)

    async def ask(self, question: Callable[[Api], T]) -> T:
        """A short question, answered within seconds."""
        return await self._call(self._asking, question)

    async def work(self, order: Callable[[Api], T]) -> T:
        """Something that may take a minute on a busy node."""
        return await self._call(self._working, order)

    async def work_long(self, order: Callable[[Api], object]) -> None:
        """Something whose end nobody can tell, over a connection of its own. Once begun, the engine
        goes on with it, whoever waits."""
        with _step(self._working, order):
            async for _ in self.stream(lambda api: map(order, (api,))):
                pass

    async def _call(self, lane: _Lane, function: Callable[[Api], T]) -> T:
        loop = asyncio.get_running_loop()
        # Loops ask short questions all the time.
        with _step(lane, function, begins_trace=lane is self._working):
            return await loop.run_in_executor(lane.threads, self._guarded, lane, function)

    def _guarded(self, lane: _Lane, function: Callable[[Api], T]) -> T:
        with self._calls.timed(lane.name) if self._calls else contextlib.nullcontext():
            return self._guarded_call(lane, function)

    def _guarded_call(self, lane: _Lane, function: Callable[[Api], T]) -> T:
        try:
            if lane.api is None:
                lane.api = self._connect(lane.timeout_seconds, lane.workers)
            return function(lane.api)
        except (docker.errors.DockerException, *_AWAY) as error:
            raise translate_error(error) from error

    def _connect(self, timeout_seconds: int | None, workers: int = 1) -> Api:
        connect: Callable[..., Api] = docker.APIClient
        return connect(
            base_url=self._url, version="auto", timeout=timeout_seconds, max_pool_size=workers
        )

    async def stream(self, begin: Callable[[Api], Iterable[T]]) -> AsyncIterator[T]:
        """The items of a blocking generator, read in a thread of its own. No span: some never
        end."""
        pump = _Pump(lambda: self._connect(None), begin)
        pump.start()
        try:
            while True:
                for item in await pump.take():
                    yield item
                if pump.is_done():
                    break
        finally:
            pump.stop()
        if pump.error is not None:
            raise translate_error(pump.error) from pump.error

    async def close(self) -> None:
        for lane in (self._asking, self._working):
            lane.threads.shutdown(wait=False, cancel_futures=True)
            if lane.api is not None:
                lane.api.close()


class _Pump:
    """Moves items from a blocking generator into the loop, and stops reading when nobody takes."""

    def __init__(self, connect: Callable[[], Api], begin: Callable[[Api], Iterable[Any]]) -> None:
        self.error: Exception | None = None
        self._connect, self._begin = connect, begin
        self._loop = asyncio.get_running_loop()
        self._items: list[Any] = []
        self._lock = threading.Condition()
        self._ready = asyncio.Event()
        self._ended = self._stopped = False
        self._source: Any = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="docker-stream", daemon=True).start()

    async def take(self) -> list[Any]:
        await self._ready.wait()
        with self._lock:
            items, self._items = self._items, []
            if not self._ended:
                self._ready.clear()
            self._lock.notify_all()
        return items

    def is_done(self) -> bool:
        with self._lock:
            return self._ended and not self._items

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        # Closing the connection is what wakes a thread that waits for the engine's next word.
        with contextlib.suppress(Exception):
            self._source.close()

    def _run(self) -> None:
        try:
            api = self._connect()
            with contextlib.closing(api):
                self._source = self._begin(api)
                for item in self._source:
                    if not self._put(item):
                        return
        except Exception as error:
            # Whatever ends a stream is raised again at its reader, unless the reader has left.
            self.error = None if self._stopped else error
        finally:
            with self._lock:
                self._ended = True
            self._wake()

    def _put(self, item: Any) -> bool:
        with self._lock:
            self._lock.wait_for(lambda: self._stopped or len(self._items) < STREAM_ITEMS_MAX)
            if self._stopped:
                return False
            self._items.append(item)
        self._wake()
        return True

    def _wake(self) -> None:
        # The loop may be closed already when the daemon ends before its last stream.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ready.set)


def translate_error(error: Exception) -> Exception:
    """The fault for what the SDK raised. `detail` is what the engine said."""
    if isinstance(error, docker.errors.NotFound):
        return ContainerMissing(words_of(error))
    if isinstance(error, docker.errors.APIError):
        words = words_of(error).lower()
        if error.is_server_error() and any(part in words for part in HALF_AWAY):
            return EngineUnreachable(words_of(error))
        if error.is_server_error() and _is_half_started(words):
            return ContainerSpoiled(words_of(error))
        if error.is_server_error() and any(part in words for part in NOT_ATTACHED):
            return NetworkMissing(words_of(error))
        return EngineRefused(words_of(error), {"status": error.status_code})
    if isinstance(error, docker.errors.DockerException):
        return EngineUnreachable(_innermost(error))
    if isinstance(error, _AWAY):
        return EngineUnreachable(_innermost(error))
    return error


def _is_half_started(words: str) -> bool:
    return any(all(part in words for part in parts) for parts in HALF_STARTED)


def words_of(error: docker.errors.APIError) -> str:
    return str(error.explanation or error).strip()


def _innermost(error: BaseException) -> str:
    """`FileNotFoundError: [Errno 2] …`, not the five exceptions wrapped around it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"


def _step(
    lane: _Lane, function: Callable[[Api], object], *, begins_trace: bool = True
) -> AbstractContextManager[Span]:
    """What is asked of the engine, by the name of our function that asks."""
    asked = getattr(function, "__qualname__", "").partition(".<locals>")[0]
    facts = {"code.function.name": asked}
    return span(f"engine {lane.name}", SpanKind.CLIENT, facts, begins_trace=begins_trace)


def _lane(name: str, workers: int, timeout_seconds: int) -> _Lane:
    threads = ThreadPoolExecutor(workers, f"docker-{name}")
    return _Lane(name, threads, workers, timeout_seconds)
