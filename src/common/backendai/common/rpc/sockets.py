"""A ZeroMQ socket driven by the event loop itself.

The socket's descriptor is edge-triggered: after every wake-up and after every send its events are
read until nothing is left. This costs less than the future per message of the stock asyncio layer.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from typing import Final

import zmq

from .wire import FRAME_BYTES_MAX

# Messages taken in one go before other tasks get their turn.
_BATCH: Final = 64
_SOCKETS_MAX: Final = 16_384


@functools.cache
def shared_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """The context of this process's outgoing connections, with room for a thousand agents."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, _SOCKETS_MAX)
    return context


def prepare_socket(socket: "zmq.Socket[bytes]", address: str) -> None:
    """The options that both ends share."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
    socket.setsockopt(zmq.SNDHWM, 10_000)
    socket.setsockopt(zmq.RCVHWM, 10_000)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 20_000)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.IPV6, int("[" in address))


class Outgoing:
    """A message in the queue; cancelling it keeps it from being sent when its time is over."""

    __slots__ = ("is_cancelled", "is_sent", "parts")

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.is_cancelled = False
        self.is_sent = False

    def cancel(self) -> None:
        self.is_cancelled = True


class LoopSocket:
    """Calls `receive(frames)` for each message; `send` never blocks and keeps the order."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", receive: Callable[[list[zmq.Frame]], None]
    ) -> None:
        self._socket = socket
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Outgoing] = deque()
        self._is_check_due = False
        self._is_held = False
        self._fd = int(socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._check)
        self._check_soon()

    @property
    def is_closed(self) -> bool:
        return self._socket.closed

    def send(self, parts: list[bytes]) -> Outgoing:
        """Send now, or as soon as the other end can take it."""
        message = Outgoing(parts)
        if self._is_held or self._queue or not self._try_send(message):
            self._queue.append(message)
        self._check_soon()
        return message

    def hold(self) -> None:
        """Keep messages in the queue until `release`."""
        self._is_held = True

    def release(self) -> None:
        self._is_held = False
        self._check_soon()

    def end_monitor(self) -> None:
        """Report no more events; before their reader is closed."""
        self._socket.disable_monitor()

    def close(self) -> None:
        if not self._socket.closed:
            self._loop.remove_reader(self._fd)
            self._socket.close(linger=0)
        self._queue.clear()

    def _check_soon(self) -> None:
        if not self._is_check_due:
            self._is_check_due = True
            self._loop.call_soon(self._check)

    def _check(self) -> None:
        self._is_check_due = False
        for _ in range(_BATCH):
            if self._socket.closed:
                return
            events = int(self._socket.getsockopt(zmq.EVENTS))
            has_work = bool(self._queue) and not self._is_held
            is_writable = bool(events & zmq.POLLOUT) and has_work
            if is_writable:
                self._flush()
            if events & zmq.POLLIN:
                self._receive_one()
            elif not is_writable:
                return
        self._check_soon()

    def _receive_one(self) -> None:
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        self._receive(frames)

    def _flush(self) -> None:
        while self._queue:
            message = self._queue[0]
            if not message.is_cancelled and not self._try_send(message):
                return
            self._queue.popleft()

    def _try_send(self, message: Outgoing) -> bool:
        try:
            self._socket.send_multipart(message.parts, zmq.NOBLOCK)
        except zmq.Again:
            return False
        message.is_sent = True
        return True
