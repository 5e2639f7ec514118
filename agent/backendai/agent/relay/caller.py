"""A client that has connected to the relay and has not shown a ticket that opens something yet."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from backendai.common.tickets import (
    LINE_BYTES_MAX,
    Refusal,
    RelayCode,
    TicketRefused,
    decode_hello,
    encode_refusal,
)

HELLO_SECONDS: Final = 5.0
LINGER_SECONDS: Final = 1.0
_NO_HELLO: Final = Refusal(RelayCode.DENIED, "no ticket came in time, or the line is too long")


class Host(Protocol):
    """Who decides about callers."""

    def receive(self, caller: "Caller") -> None:
        """A new one."""
        ...

    def admit(self, caller: "Caller", ticket: str, first: bytes) -> None:
        """It has shown `ticket`, and sent `first` behind it; it is not read from any more."""
        ...

    def forget(self, caller: "Caller") -> None:
        """It has hung up."""
        ...


class Caller(asyncio.Protocol):
    """Reads one line. A refusal is said in one line too, and what still comes is thrown away for a
    moment: hanging up on unread bytes could take the line from the client.
    """

    __slots__ = ("_deadline", "_head", "_host", "_is_refused", "transport")

    transport: asyncio.Transport

    def __init__(self, host: Host) -> None:
        self._host = host
        self._head = b""
        self._is_refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._wait(HELLO_SECONDS, lambda: self.refuse(_NO_HELLO))
        self._host.receive(self)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head += data
        end = self._head.find(b"\n", 0, LINE_BYTES_MAX)
        if end >= 0:
            self.transport.pause_reading()
            self._stop_waiting()
            self._show(self._head[:end], self._head[end + 1 :])
        elif len(self._head) >= LINE_BYTES_MAX:
            self.refuse(_NO_HELLO)

    def refuse(self, refusal: Refusal) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self.transport.write(encode_refusal(refusal))
        self.transport.write_eof()
        self._wait(LINGER_SECONDS, self.transport.abort)
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_waiting()
        self._host.forget(self)

    def _show(self, line: bytes, first: bytes) -> None:
        self._head = b""
        try:
            ticket = decode_hello(line)
        except TicketRefused as refused:
            self.refuse(Refusal(RelayCode.DENIED, refused.detail))
            return
        self._host.admit(self, ticket, first)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._deadline = asyncio.get_running_loop().call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
