"""Two connections made one: what either end sends the other gets, as it is, and no faster than it
takes it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

# Of bytes that one end has not taken yet: more are not read from the other.
BUFFER_BYTES: Final = 256 * 1024


class Splice:
    """A client's connection and one to an app, which `app` becomes the protocol of.

    The client, which is not read from meanwhile, gets `greeting` before anything from the app, and
    the app `first` before anything else from the client. `on_over` is called once, when both ends
    are gone.
    """

    __slots__ = ("_first", "_greeting", "_lost", "_on_over", "app", "client")

    def __init__(
        self, client: asyncio.Transport, greeting: bytes, first: bytes, on_over: Callable[[], None]
    ) -> None:
        self._greeting = greeting
        self._first = first
        self._on_over = on_over
        self._lost = 0
        self.client, self.app = End(self), End(self)
        self.client.other, self.app.other = self.app, self.client
        self.client.transport = client

    def join(self) -> None:
        """Both are there: nothing comes between, and nothing is read before."""
        client, app = self.client.transport, self.app.transport
        if client.is_closing():
            self._lost += 1
            app.abort()
            return
        for transport in (client, app):
            transport.set_write_buffer_limits(BUFFER_BYTES)
        client.set_protocol(self.client)
        client.write(self._greeting)
        if self._first:
            self.client.data_received(self._first)
            self._first = b""
        client.resume_reading()

    def abort(self) -> None:
        """Close both ends at once; what was not taken yet is lost."""
        self.client.transport.abort()
        # One that is not there yet is closed when it comes.
        if self.app.is_made:
            self.app.transport.abort()

    def note_lost(self) -> None:
        self._lost += 1
        if self._lost == 2:
            self._on_over()

    def moved(self) -> tuple[int, int]:
        """Bytes that came from the client, and from the app, so far."""
        return self.client.read_bytes, self.app.read_bytes


class End(asyncio.Protocol):
    """One end. A half-close is passed on; when both are closed, or one is lost, both are gone."""

    __slots__ = ("_splice", "has_ended", "is_made", "other", "read_bytes", "transport")

    transport: asyncio.Transport
    other: "End"

    def __init__(self, splice: Splice) -> None:
        self._splice = splice
        self.is_made = False
        self.has_ended = False
        self.read_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of the app's end alone: the client's is taken over."""
        self.transport = cast(asyncio.Transport, transport)
        self.is_made = True
        self._splice.join()

    def data_received(self, data: bytes) -> None:
        self.read_bytes += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """True keeps this end open for what is still to be sent to it."""
        self.has_ended = True
        if self.other.has_ended:
            self.other.transport.close()
            return False
        self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if error is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()
        self._splice.note_lost()
