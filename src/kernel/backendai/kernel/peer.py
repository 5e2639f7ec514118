"""The agent's end of a runner's socket: asks, and trusts nothing that comes back.

The socket lies in a directory that the container can write to, so what is there is opened without
following links and must be a socket. Whatever is wrong with an answer closes the connection and
nothing more.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import overload

from backendai.kernel import wire
from backendai.kernel.wire import Answer, Ask, Failure, FailureCode, FrameError

IN_FLIGHT_MAX = 64
READ_BUFFER_BYTES = 256 * 1024

_ANSWER_OF: dict[type[Ask], type[Answer]] = {
    wire.Hello: wire.HelloReply,
    wire.Execute: wire.ExecuteReply,
    wire.Interrupt: wire.InterruptReply,
    wire.Complete: wire.CompleteReply,
    wire.Upload: wire.UploadReply,
    wire.Download: wire.DownloadReply,
    wire.ListFiles: wire.ListFilesReply,
    wire.Status: wire.StatusReply,
    wire.StartApp: wire.StartAppReply,
    wire.StopApp: wire.StopAppReply,
    wire.ListApps: wire.ListAppsReply,
    wire.Shutdown: wire.ShutdownReply,
}


class RunnerGone(Exception):
    """Nobody answers: no socket, connection lost, or an answer that makes no sense. Asking again
    may work.
    """


class RunnerError(Exception):
    """The runner understood and refused; `code` is one of the protocol's."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code: FailureCode = code
        self.message = message


class Connection:
    """One connection and the requests in flight on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: dict[int, tuple[type[Answer], asyncio.Future[Answer]]] = {}
        self._next_id = 1
        self._reading = asyncio.create_task(self._read(reader), name="runner peer")

    @property
    def is_open(self) -> bool:
        return not self._reading.done()

    async def ask(self, body: Ask) -> Answer:
        if len(self._waiting) >= IN_FLIGHT_MAX:
            raise RunnerError("busy", f"{IN_FLIGHT_MAX} requests to this runner are in flight")
        number, self._next_id = self._next_id, self._next_id + 1
        frame = wire.encode_frame(wire.Request(number, body))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (_ANSWER_OF[type(body)], future)
        try:
            self._writer.write(frame)
            await self._writer.drain()
            return await future
        except OSError as error:
            raise RunnerGone(f"the runner hung up: {error}") from error
        finally:
            self._waiting.pop(number, None)

    async def wait_closed(self) -> None:
        await asyncio.wait([self._reading])

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self, reader: asyncio.StreamReader) -> None:
        reason = "the connection to the runner was closed"
        try:
            while True:
                length = wire.decode_length(await reader.readexactly(wire.LENGTH_BYTES))
                self._settle(wire.decode_reply(await reader.readexactly(length)))
        except (EOFError, OSError):
            reason = "the runner hung up"
        except FrameError as error:
            reason = f"the runner sent garbage: {error}"
        finally:
            self._writer.transport.abort()
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_exception(RunnerGone(reason))

    def _settle(self, reply: wire.Reply) -> None:
        """A late answer to a request that was given up is dropped; other surprises are garbage."""
        if not 0 < reply.id < self._next_id:
            raise FrameError(f"an answer to request {reply.id}, which was never sent")
        expected, future = self._waiting.get(reply.id, (None, None))
        if future is None or expected is None or future.done():
            return
        if isinstance(reply.body, Failure):
            future.set_exception(RunnerError(reply.body.code, reply.body.message))
        elif isinstance(reply.body, expected):
            future.set_result(reply.body)
        else:
            raise FrameError(f"{type(reply.body).__name__} where {expected.__name__} was expected")


class RunnerPeer:
    """One runner, connected to on demand. Safe to use from many tasks, and to cancel anywhere."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    @overload
    async def ask(self, request: wire.Hello, timeout_seconds: float) -> wire.HelloReply: ...
    @overload
    async def ask(self, request: wire.Execute, timeout_seconds: float) -> wire.ExecuteReply: ...
    @overload
    async def ask(self, request: wire.Interrupt, timeout_seconds: float) -> wire.InterruptReply: ...
    @overload
    async def ask(self, request: wire.Complete, timeout_seconds: float) -> wire.CompleteReply: ...
    @overload
    async def ask(self, request: wire.Upload, timeout_seconds: float) -> wire.UploadReply: ...
    @overload
    async def ask(self, request: wire.Download, timeout_seconds: float) -> wire.DownloadReply: ...
    @overload
    async def ask(self, request: wire.ListFiles, timeout_seconds: float) -> wire.ListFilesReply: ...
    @overload
    async def ask(self, request: wire.Status, timeout_seconds: float) -> wire.StatusReply: ...
    @overload
    async def ask(self, request: wire.StartApp, timeout_seconds: float) -> wire.StartAppReply: ...
    @overload
    async def ask(self, request: wire.StopApp, timeout_seconds: float) -> wire.StopAppReply: ...
    @overload
    async def ask(self, request: wire.ListApps, timeout_seconds: float) -> wire.ListAppsReply: ...
    @overload
    async def ask(self, request: wire.Shutdown, timeout_seconds: float) -> wire.ShutdownReply: ...
    @overload
    async def ask(self, request: Ask, timeout_seconds: float) -> Answer: ...

    async def ask(self, request: Ask, timeout_seconds: float) -> Answer:
        """The answer. Raises RunnerGone, RunnerError, or TimeoutError; FrameError for too large a
        request.
        """
        async with asyncio.timeout(timeout_seconds):
            connection = await self._connect()
            return await connection.ask(request)

    async def wait_closed(self) -> None:
        """Until the runner hangs up, which is the last thing that it does. Nobody connected: at
        once.
        """
        if self._connection is not None:
            await self._connection.wait_closed()

    async def close(self) -> None:
        """Hang up; what is in flight ends with RunnerGone."""
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                self._connection = Connection(*await open_runner_socket(self._socket_path))
            return self._connection


async def open_runner_socket(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the very file that was checked to be a socket; raises RunnerGone."""
    with hold_socket(path) as address:
        try:
            return await asyncio.open_unix_connection(address, limit=READ_BUFFER_BYTES)
        except OSError as error:
            raise RunnerGone(f"the runner at {path} does not answer: {error.strerror}") from error


@contextlib.contextmanager
def hold_socket(path: Path) -> Iterator[str]:
    """An address of the file at `path` that stays good when the file is replaced.

    Raises RunnerGone when that is missing, a link, or no socket.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RunnerGone(f"no runner at {path}: {error.strerror}") from error
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise RunnerGone(f"{path} is not a socket")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
