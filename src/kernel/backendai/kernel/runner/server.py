"""The socket of the runner: connections come and go, each carries many requests at once."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from backendai.kernel.runner.service import Service
from backendai.kernel.wire import (
    LENGTH_BYTES,
    SOCKET_NAME,
    Failure,
    FrameError,
    Reply,
    Request,
    decode_length,
    decode_request,
    encode_frame,
    find_request_id,
)

IN_FLIGHT_MAX = 64
CLOSE_SECONDS_MAX = 1.0

_logger = logging.getLogger(__name__)


class Server:
    """Listens on `runner.sock` in the run directory, for the kernel's own user and root."""

    def __init__(self, service: Service, run_dir: Path) -> None:
        self._service = service
        self._run_dir = run_dir
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self) -> None:
        """A socket that an earlier runner left is replaced. The path may be longer than a socket
        address.
        """
        (self._run_dir / SOCKET_NAME).unlink(missing_ok=True)
        folder = os.open(self._run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # The folder stays open, and so the socket's address valid, for as long as the runner lives.
        path = f"/proc/self/fd/{folder}/{SOCKET_NAME}"
        mask = os.umask(0o177)
        try:
            await asyncio.start_unix_server(self._serve, path)
        finally:
            os.umask(mask)

    async def close(self) -> None:
        """Send what is answered already, and hang up."""
        for writer in self._connections.values():
            writer.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=CLOSE_SECONDS_MAX)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        tasks: set[asyncio.Task[None]] = set()
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[connection] = writer
        try:
            while True:
                await slots.acquire()
                request = await read_request(reader, writer)
                task = asyncio.create_task(self._answer(request, writer), name="request")
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                task.add_done_callback(lambda _: slots.release())
        except (EOFError, FrameError, OSError) as error:
            _logger.debug("connection ended: %r", error)
        finally:
            for task in tasks:
                task.cancel()
            writer.close()
            del self._connections[connection]

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        body = await self._service.answer(request.body)
        try:
            frame = encode_frame(Reply(request.id, body))
        except FrameError as error:
            frame = encode_frame(Reply(request.id, Failure("too-large", str(error))))
        except (ValueError, OverflowError) as error:
            # User code put something into its own run's output that no frame can carry.
            frame = encode_frame(Reply(request.id, Failure("internal", str(error))))
        writer.write(frame)
        with contextlib.suppress(OSError):
            await writer.drain()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    """The next request that makes sense; others are answered when their number can be read."""
    while True:
        length = decode_length(await reader.readexactly(LENGTH_BYTES))
        payload = await reader.readexactly(length)
        try:
            return decode_request(payload)
        except FrameError as error:
            number = find_request_id(payload)
            if number is None:
                raise
            writer.write(encode_frame(Reply(number, Failure("bad-request", str(error)))))
