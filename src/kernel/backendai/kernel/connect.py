"""The agent's end of a runner's door: gets a socket that is connected to an app in the container.

Whoever passed a descriptor may still hold it, so nothing that is set on it lasts: see Door.
"""

import array
import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backendai.kernel.peer import RunnerError, RunnerGone, hold_socket
from backendai.kernel.wire import (
    DOOR_FRAME_BYTES_MAX,
    DOOR_NAME,
    LENGTH_BYTES,
    Connect,
    ConnectReply,
    Failure,
    FrameError,
    decode_connect_reply,
    decode_length,
    encode_frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer, WriteableBuffer

_PROTOCOL_OF: Final[dict[int, int]] = {
    socket.AF_INET: socket.IPPROTO_TCP,
    socket.AF_INET6: socket.IPPROTO_TCP,
    socket.AF_UNIX: 0,
}
_INT_BYTES: Final = array.array("i").itemsize
# Room for more than the one that is due, so that another one is seen.
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(2 * _INT_BYTES)
_LINGER_OFF: Final = struct.pack("ii", 0, 0)


class Door(socket.socket):
    """A socket that a container shares with us: it could make the descriptor blocking again, or
    have its end take an hour, and so hold up who waits for others too. Neither works here.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return super().recv(bufsize, flags | socket.MSG_DONTWAIT)

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer, nbytes, flags | socket.MSG_DONTWAIT)

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        return super().send(data, flags | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def sendmsg(
        self,
        buffers: "Iterable[ReadableBuffer]",
        ancdata: "Iterable[tuple[int, int, ReadableBuffer]]" = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Transports of asyncio flush by it from Python 3.12 on."""
        quiet = flags | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        return super().sendmsg(buffers, ancdata, quiet, address)

    def close(self) -> None:
        if self.fileno() >= 0 and self.family != socket.AF_UNIX:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        super().close()


async def open_door(run_dir: Path, app: str, port: int, seconds: float) -> Door:
    """A socket of ours that is connected to the app, not blocking; `port` 0 is the app's first.

    A built-in app is started when it does not run. Raises RunnerError with the code `refused`,
    `unknown-app`, `not-started`, `busy` or `bad-request`, and RunnerGone when there is no runner,
    or none that makes sense, or no answer in `seconds`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _ask(run_dir / DOOR_NAME, Connect(app=app, port=port))
    except TimeoutError as error:
        raise RunnerGone(f"no connection to {app} within {seconds:g} s") from error


async def _ask(path: Path, connect: Connect) -> Door:
    passed: list[int] = []
    with _call(path) as stream:
        try:
            await asyncio.get_running_loop().sock_sendall(stream, encode_frame(connect))
            answer = await _read_answer(stream, passed)
            if isinstance(answer, Failure):
                raise RunnerError(answer.code, answer.message)
            return _accept(passed)
        except FrameError as error:
            raise RunnerGone(f"the runner sent garbage: {error}") from error
        except OSError as error:
            raise RunnerGone(f"the runner hung up: {error}") from error
        finally:
            for descriptor in passed:
                os.close(descriptor)


def _call(path: Path) -> socket.socket:
    """Connected at once or not at all: a Unix socket has no third way."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.setblocking(False)
    try:
        with hold_socket(path) as address:
            stream.connect(address)
    except BlockingIOError as error:
        stream.close()
        raise RunnerError("busy", "too many wait for the runner to connect them") from error
    except OSError as error:
        stream.close()
        raise RunnerGone(f"the runner at {path} does not answer: {error.strerror}") from error
    except RunnerGone:
        stream.close()
        raise
    return stream


async def _read_answer(stream: socket.socket, passed: list[int]) -> ConnectReply | Failure:
    """The answer; descriptors that came with it are put into `passed`, which then owns them."""
    head = await _read(stream, LENGTH_BYTES, passed)
    payload = await _read(stream, decode_length(head, DOOR_FRAME_BYTES_MAX), passed)
    return decode_connect_reply(payload)


async def _read(stream: socket.socket, length: int, passed: list[int]) -> bytes:
    data = bytearray()
    while len(data) < length:
        data += await _receive(stream, length - len(data), passed)
    return bytes(data)


async def _receive(stream: socket.socket, length: int, passed: list[int]) -> bytes:
    """Raises FrameError at the end, and when more than one descriptor came."""
    await _wait_readable(stream)
    data, ancillary, flags, _ = stream.recvmsg(length, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
    passed += _descriptors(ancillary)
    if flags & socket.MSG_CTRUNC or len(passed) > 1:
        raise FrameError("more than one descriptor was passed")
    if not data:
        raise FrameError("the answer ends too early")
    return data


async def _wait_readable(stream: socket.socket) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(stream, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(stream)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _INT_BYTES])
    return list(found)


def _accept(passed: list[int]) -> Door:
    """Takes the one descriptor out of `passed` when it is what it has to be."""
    if not passed:
        raise FrameError("no descriptor was passed")
    try:
        door = Door(fileno=passed[0])
    except OSError as error:
        raise FrameError("what was passed is no socket") from error
    # What is not to be kept is closed by who owns `passed`.
    if door.type != socket.SOCK_STREAM or _PROTOCOL_OF.get(door.family) != door.proto:
        kind = f"{door.family!r}, {door.type!r}"
        door.detach()
        raise FrameError(f"what was passed is no stream: {kind}")
    passed.clear()
    door.setblocking(False)
    return door
