"""The ways into apps that are open through this manager, and which of them must end.

What opened a way is looked at again and again while it is open: the session may end, and so may
its user's access.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSCloseCode, web
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import AgentFault, Fault, InvalidParams, Kind
from backendai.common.http import LAST_ANSWER_SECONDS, close_socket
from backendai.common.loops import LoopHealth, supervise
from backendai.manager.db.engine import Database

from . import store

# Whoever may not come any more is cut off within 5 seconds, also when the database comes back.
LOOK_SECONDS: Final = 2.0
# A client that is slow to read gets all of what an app has sent, and answers the close frame then.
ANSWER_SECONDS: Final = 10.0
# What a close frame has room for.
REASON_BYTES_MAX: Final = 123


@dataclass(frozen=True, slots=True)
class End:
    """Why a stream is over, as its close frame tells: `code` is of RFC 6455. The client's answer
    to it is waited for, but no longer than `answer_seconds`."""

    code: int = WSCloseCode.OK
    message: str = ""
    answer_seconds: float = ANSWER_SECONDS

    @property
    def reason(self) -> bytes:
        return self.message.encode()[:REASON_BYTES_MAX].decode("utf-8", "ignore").encode()


CLIENT_GONE: Final = End()
APP_ENDED: Final = End(WSCloseCode.GOING_AWAY, "The app has closed the connection.")
_KERNEL_ENDED: Final = End(WSCloseCode.GOING_AWAY, "The session does not run any more.")
UNWELCOME: Final = End(WSCloseCode.POLICY_VIOLATION, "This keypair may not be used any more.")
MANAGER_ENDS: Final = End(
    WSCloseCode.SERVICE_RESTART, "The manager is restarted.", LAST_ANSWER_SECONDS
)
_AGAIN: Final = frozenset({Kind.UNAVAILABLE, Kind.CONFLICT})
# Its id and its generation.
Kernel = tuple[uuid.UUID, int]


def end_of(fault: Fault) -> End:
    """How a stream ends that could not be opened: 1013 where asking again may help."""
    code = WSCloseCode.TRY_AGAIN_LATER if fault.kind in _AGAIN else WSCloseCode.INTERNAL_ERROR
    if isinstance(fault, InvalidParams):
        return End(code, "; ".join(f"{name} {wrong}" for name, wrong in fault.facts.items()))
    title = fault.agent_title if isinstance(fault, AgentFault) else fault.title
    return End(code, f"{title} {fault.detail}".rstrip())


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One that is open. `access_key` is that of who opened it."""

    kernel: Kernel
    access_key: str
    _ended: asyncio.Future[End] = field(default_factory=asyncio.Future)

    async def ended(self) -> End:
        """Waits until it has to end."""
        return await asyncio.shield(self._ended)

    def end(self, end: End) -> None:
        if not self._ended.done():
            self._ended.set_result(end)


class Streams:
    """All that are open here; while the database is away they stay so. `watch` has to run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: set[Stream] = set()

    @contextmanager
    def hold(self, kernel: Kernel, access_key: str) -> Iterator[Stream]:
        stream = Stream(kernel, access_key)
        self._open.add(stream)
        try:
            yield stream
        finally:
            self._open.discard(stream)

    async def watch(self, clock: Clock, health: LoopHealth) -> None:
        """Look again and again, until cancelled."""
        await supervise(
            "streams",
            self.look,
            period_seconds=LOOK_SECONDS,
            backoff_seconds_max=LOOK_SECONDS,
            clock=clock,
            health=health,
        )

    async def look(self) -> None:
        """End those whose kernel does not run any more, or whose user may not come any more."""
        streams = tuple(self._open)
        if not streams:
            return
        running, welcome = await self._database.read(lambda conn: _load(conn, streams))
        for stream in streams:
            if stream.kernel not in running:
                stream.end(_KERNEL_ENDED)
            elif stream.access_key not in welcome:
                stream.end(UNWELCOME)

    async def end_all(self, _: object = None) -> None:
        """Before this manager stops listening, which waits for all that is open."""
        for stream in tuple(self._open):
            stream.end(MANAGER_ENDS)


async def close(socket: web.WebSocketResponse, end: End) -> None:
    """Tell the client why it is over, and end the connection."""
    await close_socket(socket, end.code, end.reason, answer_seconds=end.answer_seconds)


async def first_end(*ways: Coroutine[Any, Any, End]) -> End:
    """How the first of `ways` ends; the others are cancelled. Raises groups of what they raise."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(way, name="stream.way") for way in ways]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
    return next(iter(done)).result()


async def _load(conn: AsyncConnection, streams: Sequence[Stream]) -> tuple[set[Kernel], set[str]]:
    kernels = {stream.kernel[0] for stream in streams}
    keys = {stream.access_key for stream in streams}
    return await store.list_running(conn, kernels), await store.list_welcome(conn, keys)
