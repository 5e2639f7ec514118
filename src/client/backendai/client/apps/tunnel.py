"""A local port each connection to which is carried to an app of a session."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from backendai.client.faults import AppClosed, BadUsage
from backendai.client.transport import Closing, Pipe
from backendai.common.contracts.tunnel import ENDED
from backendai.common.faults import Fault

CHUNK_BYTES: Final = 64 * 1024
# How the server closes a way whose app has ended it, and how a client is.
_FAIR: Final = frozenset({1000, 1001})
OpenPipe = Callable[[], AbstractAsyncContextManager[Pipe]]
OnFault = Callable[[Fault], None]


class Tunnel:
    """Listens until it is closed; `async with` closes it, with all connections. `address` is the
    host and port that lead to the app."""

    def __init__(self, open_pipe: OpenPipe, on_fault: OnFault | None = None) -> None:
        self._open_pipe = open_pipe
        self._on_fault = on_fault
        self.address = ("", 0)
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> None:
        """Port 0 takes a free one. Raises BadUsage where that cannot be listened at."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise BadUsage(f"Cannot listen at {host}:{port}: {error.strerror}.") from error
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._carrying:
            task.cancel()
        if self._carrying:
            await asyncio.wait(self._carrying)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            async with self._open_pipe() as pipe:
                await carry(pipe, reader, writer)
        except Fault as fault:
            if self._on_fault is not None:
                self._on_fault(fault)
        finally:
            self._carrying.discard(task)
            writer.close()


async def carry(
    pipe: Pipe,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    ends_with_app: bool = False,
) -> None:
    """Both ways until both sides have nothing more to send, or one is gone: the answer to a request
    may come long after the end of that. `ends_with_app` does not wait for the end of what is read
    here, which a person at a terminal may never give. Raises AppClosed where the app could not be
    had."""
    async with asyncio.TaskGroup() as group:
        up = group.create_task(_send_up(reader, pipe), name="tunnel.up")
        coming = _send_down(pipe, writer, ends_with_app=ends_with_app)
        down = group.create_task(coming, name="tunnel.down")
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        if not down.done() and up.result():
            await asyncio.wait((down,))
        is_heard = down.done() and down.result()
        up.cancel()
        down.cancel()
    if is_heard:
        refuse_unfair(pipe.closing)


def refuse_unfair(closing: Closing) -> None:
    """Raises AppClosed, unless the way was closed because the app or somebody ended it."""
    if closing.code not in _FAIR:
        raise AppClosed(closing.reason or "The connection broke.", {"code": closing.code})


async def _send_up(reader: asyncio.StreamReader, pipe: Pipe) -> bool:
    """Until there is nothing more to send; False when whoever sent it is gone."""
    while True:
        try:
            data = await reader.read(CHUNK_BYTES)
        except ConnectionError:
            return False
        try:
            await pipe.write(data or ENDED)
        except ConnectionError:
            # What has become of the way is heard where it is read.
            return True
        if not data:
            return True


async def _send_down(pipe: Pipe, writer: asyncio.StreamWriter, *, ends_with_app: bool) -> bool:
    """Until the way is closed; False when it is left before."""
    try:
        async for data in pipe:
            if data == ENDED:
                writer.write_eof()
                if ends_with_app:
                    return False
            else:
                writer.write(data)
            await writer.drain()
    except ConnectionError:
        return False
    return True
