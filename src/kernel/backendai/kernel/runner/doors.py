"""The door of the kernel: whoever asks there gets a socket that is connected to an app, and talks
to it past the runner.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import (
    DOOR_FRAME_BYTES_MAX,
    DOOR_NAME,
    LENGTH_BYTES,
    Connect,
    ConnectReply,
    Failure,
    FrameError,
    decode_connect,
    decode_length,
    encode_frame,
)

ASK_SECONDS_MAX: Final = 5.0
AT_ONCE_MAX: Final = 256
BACKLOG: Final = 256
# Without a free descriptor the queue stays readable: looking at it at once again is all that the
# runner would do.
REST_SECONDS: Final = 0.5
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
MESSAGE_CHARACTERS_MAX: Final = 1000

_logger = logging.getLogger(__name__)

Connector = Callable[[Connect], Awaitable[socket.socket]]


class Doors:
    """Listens on `connect.sock` in the run directory, for the kernel's own user and root."""

    def __init__(self, connect: Connector, run_dir: Path) -> None:
        self._connect = connect
        self._run_dir = run_dir
        self._asks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    def listen(self) -> None:
        """A socket that an earlier runner left is replaced."""
        self._listener = listen_at(self._run_dir, DOOR_NAME)
        self._watch()

    def close(self) -> None:
        """Whoever waits is hung up on."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        for ask in self._asks:
            ask.cancel()

    def _accept(self) -> None:
        """Over the limit nobody is taken in: the others wait in the queue of the socket. So they do
        while descriptors are short, until one that was served is gone, or a moment has passed."""
        assert self._listener is not None
        if len(self._asks) >= AT_ONCE_MAX:
            asyncio.get_running_loop().remove_reader(self._listener)
            return
        try:
            caller, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _SHORTAGES:
                _logger.warning("nobody can be let in for a moment: %s", error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener)
                loop.call_later(REST_SECONDS, self._watch)
            return
        caller.setblocking(False)
        ask = asyncio.create_task(self._serve(caller), name="door")
        self._asks.add(ask)
        ask.add_done_callback(self._forget)

    def _forget(self, ask: asyncio.Task[None]) -> None:
        self._asks.discard(ask)
        self._watch()

    def _watch(self) -> None:
        if self._listener is not None and self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def _serve(self, caller: socket.socket) -> None:
        with caller:
            try:
                async with asyncio.timeout(ASK_SECONDS_MAX):
                    connect = await _read_connect(caller)
            except (FrameError, OSError) as error:
                _send(caller, Failure("bad-request", str(error)))
                return
            try:
                stream = await self._connect(connect)
            except Refusal as refusal:
                _send(caller, Failure(refusal.code, refusal.message[:MESSAGE_CHARACTERS_MAX]))
                return
            except Exception as error:
                _logger.exception("no connection to %s", connect.app)
                _send(caller, Failure("internal", f"the runner failed: {type(error).__name__}"))
                return
            with stream:
                _send(caller, ConnectReply(), stream.fileno())


def listen_at(folder: Path, name: str) -> socket.socket:
    """A new listening socket for its owner and root; one of that name is replaced.

    The path of the folder may be longer than a socket address.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(FileNotFoundError):
        (folder / name).unlink()
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.umask(mask)
        os.close(descriptor)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


async def _read_connect(caller: socket.socket) -> Connect:
    head = await _read(caller, LENGTH_BYTES)
    return decode_connect(await _read(caller, decode_length(head, DOOR_FRAME_BYTES_MAX)))


async def _read(caller: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < length:
        piece = await loop.sock_recv(caller, length - len(data))
        if not piece:
            raise FrameError("the request ends too early")
        data += piece
    return data


def _send(caller: socket.socket, answer: ConnectReply | Failure, *descriptors: int) -> None:
    """At once: it is small, and nothing was sent before, so it fits whoever reads or not."""
    with suppress(OSError):
        socket.send_fds(caller, [encode_frame(answer)], descriptors)
