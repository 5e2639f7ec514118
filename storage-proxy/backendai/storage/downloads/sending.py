"""Sending bytes of an open file to a client: by sendfile where the connection allows it.

The file system is touched in the volume's threads only, and only while bytes move: a client that
does not read, however many of them, holds none.
"""

import asyncio
import os
from typing import Final

from aiohttp import web

from ..handle import Handle
from ..volumes.volume import Volume
from .ranges import ByteRange

SLICE_BYTES: Final = 8 << 20
_PIECE_BYTES: Final = 1 << 18


async def send_range(
    request: web.Request,
    response: web.StreamResponse,
    volume: Volume,
    file: Handle,
    wanted: ByteRange,
    idle_seconds: float,
) -> None:
    """After the head was sent. Raises ConnectionResetError; also when the file became shorter."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    plain = transport.get_extra_info("socket")
    if plain is None or transport.get_extra_info("sslcontext") is not None:
        await _send_pieces(response, volume, file, wanted, idle_seconds)
        return
    # The same connection by another number: the loop waits on its own for the transport.
    twin = Handle(os.dup(plain.fileno()))
    try:
        await _send_by_kernel(transport, volume, twin, file, wanted, idle_seconds)
    finally:
        twin.release()


async def _send_by_kernel(
    transport: asyncio.Transport,
    volume: Volume,
    twin: Handle,
    file: Handle,
    wanted: ByteRange,
    idle_seconds: float,
) -> None:
    position, end = wanted.start, wanted.start + wanted.count
    while transport.get_write_buffer_size():
        await _writable(transport, twin, idle_seconds)
    while position < end:
        sent = await volume.run(push, twin, file, position, end)
        if sent is None:
            raise _shorter(transport)
        position += sent
        if position < end:
            await _writable(transport, twin, idle_seconds)


def push(connection: Handle, file: Handle, position: int, end: int) -> int | None:
    """How much the socket took until it was full; None at the end of the file.

    Blocks on the disk only. Raises OSError.
    """
    with connection.used() as out, file.used() as fd:
        return _push(out, fd, position, end)


def _push(out: int, fd: int, position: int, end: int) -> int | None:
    start, limit = position, min(end, position + SLICE_BYTES)
    while position < limit:
        try:
            sent = os.sendfile(out, fd, position, limit - position)
        except BlockingIOError:
            break
        except (BrokenPipeError, ConnectionError):
            return 0
        if not sent:
            return None if position == start else position - start
        position += sent
    return position - start


async def _writable(transport: asyncio.Transport, twin: Handle, idle_seconds: float) -> None:
    """Raises ConnectionResetError for a client that has gone, or does not read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    with twin.used() as fd:
        loop.add_writer(fd, ready.set)
        try:
            async with asyncio.timeout(idle_seconds):
                await ready.wait()
        except TimeoutError:
            raise ConnectionResetError("the client does not read") from None
        finally:
            loop.remove_writer(fd)
    if transport.is_closing():
        raise ConnectionResetError("the client has gone")


async def _send_pieces(
    response: web.StreamResponse,
    volume: Volume,
    file: Handle,
    wanted: ByteRange,
    idle_seconds: float,
) -> None:
    position, end = wanted.start, wanted.start + wanted.count
    while position < end:
        piece = await volume.run(read, file, min(_PIECE_BYTES, end - position), position)
        if not piece:
            raise ConnectionResetError("the file became shorter while it was sent")
        await write_piece(response, piece, idle_seconds)
        position += len(piece)


def read(file: Handle, size: int, position: int) -> bytes:
    """Blocks. Raises OSError."""
    with file.used() as fd:
        return os.pread(fd, size, position)


async def write_piece(response: web.StreamResponse, piece: bytes, idle_seconds: float) -> None:
    """Raises ConnectionResetError for a client that has gone, or does not read."""
    try:
        async with asyncio.timeout(idle_seconds):
            await response.write(piece)
    except TimeoutError:
        raise ConnectionResetError("the client does not read") from None


def _shorter(transport: asyncio.Transport) -> ConnectionResetError:
    """The length was promised: only a connection that breaks tells that it is not kept."""
    transport.abort()
    return ConnectionResetError("the file became shorter while it was sent")
