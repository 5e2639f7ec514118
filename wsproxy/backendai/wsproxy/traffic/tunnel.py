"""A connection to an app that speaks no HTTP: bare bytes both ways, for addresses with a permit."""

import asyncio
from typing import Final, cast

from backendai.common.logs import get_logger
from backendai.common.tickets import LINE_BYTES_MAX, decode_answer

from ..circuits.live import LiveCircuit
from ..circuits.model import plain_address
from .house import House, RelayAway
from .line import WRITE_AHEAD_BYTES

log = get_logger(__name__)

READ_AHEAD_BYTES: Final = 64 << 10


class FarEnd(asyncio.Protocol):
    """The relay's side. Its greeting is read, everything else is passed on."""

    def __init__(self, tunnel: "Tunnel") -> None:
        self._tunnel = tunnel
        self._buffer = b""
        self._is_open = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._is_open:
            self._tunnel.is_active = True
            self._tunnel.transport.write(data)
        else:
            self._read_greeting(self._buffer + data)

    def _read_greeting(self, data: bytes) -> None:
        line, newline, rest = data.partition(b"\n")
        if not newline and len(data) < LINE_BYTES_MAX:
            self._buffer = data
            return
        try:
            refusal = decode_answer(line)
        except ValueError:
            self._tunnel.abort()
            return
        if refusal is not None:
            log.info("tunnel.refused", code=refusal.code, why=refusal.message)
            self._tunnel.abort()
            return
        self._is_open = True
        self._tunnel.go_on()
        if rest:
            self._tunnel.transport.write(rest)

    def eof_received(self) -> bool:
        return self._is_open and self._tunnel.on_far_ended()

    def pause_writing(self) -> None:
        self._tunnel.transport.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._tunnel.transport.close()


class Tunnel(asyncio.Protocol):
    """The client's side. What it says before the app is there waits, and soon no more is read."""

    def __init__(self, house: House, live: LiveCircuit) -> None:
        self._house = house
        self._far: FarEnd | None = None
        self._buffer = b""
        self._is_open = False
        self._has_ended = False
        self._has_far_ended = False
        self._deadline = float("inf")
        self.live: LiveCircuit | None = live
        self.is_active = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        live = self.live
        assert live is not None
        found = transport.get_extra_info("peername")
        address = plain_address(str(found[0])) if found else ""
        if self._house.is_full() or not self._may_come(live, address):
            self.transport.abort()
            return
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)
        self._house.guests.add(self)
        live.is_used = True
        self._deadline = asyncio.get_running_loop().time() + self._house.greeting_seconds()
        self._house.spawn(self._open(live))

    def _may_come(self, live: LiveCircuit, address: str) -> bool:
        """Without cookies, the address is all that tells who comes."""
        if not live.is_open or not live.circuit.admits(address):
            return False
        return live.circuit.is_public or live.knows_address(address, self._house.clock.now())

    async def _open(self, live: LiveCircuit) -> None:
        try:
            transport, far = await self._house.connect(live, lambda: FarEnd(self))
        except RelayAway:
            self.abort()
            return
        if self.transport.is_closing() or not live.is_open:
            transport.abort()
            return
        self._far = far
        transport.write(self._house.tickets.hello(live.circuit))

    def go_on(self) -> None:
        """The app is there."""
        self._is_open = True
        self.is_active = True
        data, self._buffer = self._buffer, b""
        if data and self._far is not None:
            self._far.transport.write(data)
        self.transport.resume_reading()
        if self._has_ended:
            self._end_far()

    def check(self, now: float) -> None:
        if self.is_active and self._is_open:
            self.is_active = False
            self._deadline = now + self._house.limits.idle_timeout
        elif now >= self._deadline:
            # Bare bytes have no words for it.
            log.info(
                "tunnel.late", is_open=self._is_open, circuit=self.live and self.live.circuit.id
            )
            self.abort()

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.is_active = True
        if self._is_open and self._far is not None:
            self._far.transport.write(data)
            return
        self._buffer += data
        if len(self._buffer) > READ_AHEAD_BYTES:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Who has nothing more to send still waits for the answer, also before the app is there."""
        self._has_ended = True
        if self._is_open:
            self._end_far()
        return not self._has_far_ended

    def on_far_ended(self) -> bool:
        """The app has nothing more to send. Says whether it is still sent to: when both sides have
        ended, nobody else would ever hang up."""
        self._has_far_ended = True
        if self._has_ended or self.transport.is_closing():
            self.transport.close()
            return False
        self.transport.write_eof()
        return True

    def _end_far(self) -> None:
        if self._far is None or self._far.transport.is_closing():
            return
        if self._has_far_ended:
            self._far.transport.close()
        else:
            self._far.transport.write_eof()

    def pause_writing(self) -> None:
        if self._far is not None:
            self._far.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._far is not None:
            self._far.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._house.guests.discard(self)
        if self._far is not None:
            self._far.transport.close()
