"""A connection of a browser: reads requests strictly, lets in who may come, and passes on.

One request at a time; what a browser sends ahead waits, up to a limit.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, cast

from backendai.common import tickets
from backendai.common.faults import Fault
from backendai.common.logs import get_logger
from backendai.common.tickets import RelayCode

from ..circuits.live import LiveCircuit
from .answers import AnswerHead
from .chunks import BadChunks, ChunkReader, encode_chunks, encode_end
from .entry import Door, Entry
from .heads import (
    OWN_PREFIX,
    TARGET_BYTES_MAX,
    HeadReader,
    HeadRefused,
    RequestHead,
    compose_request,
)
from .house import House, RelayAway
from .line import WRITE_AHEAD_BYTES, Line
from .pages import Refusal, render_refusal

log = get_logger(__name__)

# How much of a body or of later requests waits here while nobody takes it.
READ_AHEAD_BYTES: Final = 64 << 10
LINGER_SECONDS: Final = 2.0
LINGER_BYTES_MAX: Final = 1 << 20
_REOPEN_SECONDS: Final = 0.2
_END: Final = b"\r\n\r\n"
_BUSY: Final = 1
_FULL: Final = 2
_NEVER: Final = float("inf")
# Over and done with in a moment, or not at all.
_PASSING: Final = frozenset({RelayCode.GONE, RelayCode.BUSY})
_STATUS: Final = {
    RelayCode.GONE: (410, "The session has ended."),
    RelayCode.REFUSED: (502, "The app does not listen yet."),
    RelayCode.BUSY: (503, "The node has too many connections."),
    RelayCode.DENIED: (502, "The node does not let the app proxy in."),
    RelayCode.FAILED: (502, "The node could not reach the app."),
}


class Visitor(asyncio.Protocol):
    """`is_active` is set whenever something moves, and looked at each second."""

    __slots__ = (
        "_body_done",
        "_buffer",
        "_chunks",
        "_deadline",
        "_door",
        "_entry",
        "_has_ended",
        "_head",
        "_held",
        "_house",
        "_is_answering",
        "_is_behind",
        "_is_greeted",
        "_is_last",
        "_left",
        "_line",
        "_lingered",
        "_open_until",
        "_reader",
        "_reading",
        "_span",
        "_time",
        "_was_retried",
        "is_active",
        "live",
        "transport",
    )

    def __init__(self, house: House, door: Door) -> None:
        self._house = house
        self._door = door
        self._reader = HeadReader()
        self._chunks = ChunkReader()
        self._buffer = b""
        self._time = asyncio.get_running_loop().time
        self._head: RequestHead | None = None
        self._line: Line | None = None
        self._body_done = True
        self._has_ended = False
        self._is_answering = False
        self._is_behind = False
        self._is_greeted = False
        self._is_last = False
        self._was_retried = False
        self._left = 0
        self._lingered = 0
        self._held = 0
        self._deadline = _NEVER
        self._span = 0.0
        self._open_until = 0.0
        self._reading: Callable[[bytes], None] = self._read_head
        self.live: LiveCircuit | None = None
        self.is_active = False
        self.transport: asyncio.Transport
        self._entry: Entry

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._house.is_full():
            self.transport.abort()
            return
        self._house.guests.add(self)
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)
        found = transport.get_extra_info("peername")
        self._entry = Entry(self._house, self._door, str(found[0]) if found else "")
        self._await_request()

    def data_received(self, data: bytes) -> None:
        self._reading(data)

    def eof_received(self) -> bool:
        """A browser that goes away half-way is gone; only a tunnel has two ends. When both have
        nothing more to send, nobody would ever hang up."""
        if self._reading != self._read_tunnel or self._line is None:
            return False
        self._has_ended = True
        if self._line.has_ended:
            self._part(self._line)
            return False
        self._line.write_eof()
        return True

    def pause_writing(self) -> None:
        self._is_behind = True
        if self._line is not None and self._line.is_usable():
            self._line.transport.pause_reading()
        self._set_span(self._house.limits.body_timeout)

    def resume_writing(self) -> None:
        self._is_behind = False
        if self._line is not None and self._line.is_usable():
            self._line.transport.resume_reading()
        self._set_span(self._house.limits.idle_timeout)

    def connection_lost(self, error: Exception | None) -> None:
        self._house.guests.discard(self)
        self._deadline = _NEVER
        self._reading = self._discard
        self._drop_line()

    # Time

    def check(self, now: float) -> None:
        if self.is_active and self._span:
            self.is_active = False
            self._deadline = now + self._span
        elif now >= self._deadline:
            self._expire()

    def abort(self) -> None:
        self.transport.abort()

    def _set_deadline(self, seconds: float, *, moves: bool = False) -> None:
        """`moves`: each time that something passes, it is as far away again."""
        self._span = seconds if moves else 0.0
        self.is_active = False
        self._deadline = self._time() + seconds

    def _set_span(self, seconds: float) -> None:
        if self._span:
            self._set_deadline(seconds, moves=True)

    def _expire(self) -> None:
        if self._reading == self._discard and self.transport.get_write_buffer_size():
            # The end of an answer is still on its way to somebody slow.
            self._set_deadline(self._house.limits.body_timeout)
            self._reading = self._drop
        elif self._reading == self._read_head and self._buffer:
            self._refuse(408, "The request did not arrive in time.")
        elif self._head is None or self._is_answering:
            self.transport.abort()
        elif not self._body_done:
            self._refuse(408, "The body of the request did not arrive in time.")
        else:
            why = "app did not answer" if self._is_greeted else "node did not let us in"
            self._refuse(504, f"The {why} in time.")

    def _await_request(self) -> None:
        self._reading = self._read_head
        self._head = None
        self._set_deadline(self._house.limits.keep_alive)

    # Heads

    def _read_head(self, data: bytes) -> None:
        is_first = not self._buffer
        # Some clients end a body with a line that does not belong to it.
        data = data.removeprefix(b"\r\n") if is_first else self._buffer + data
        end = data.find(_END)
        if end < 0 or end > self._house.limits.head_bytes_max:
            self._buffer = data
            if is_first:
                self._set_deadline(self._house.limits.head_timeout)
            self._check_partial(data)
            return
        self._buffer = data[end + 4 :]
        try:
            head = self._reader.read(data[: end + 4])
            self._begin(head)
        except HeadRefused as error:
            self._refuse(error.status, error.why)

    def _check_partial(self, data: bytes) -> None:
        if len(data) > self._house.limits.head_bytes_max:
            self._refuse(431, "The head of the request is too long.")
        elif len(data) > TARGET_BYTES_MAX + 64 and b"\n" not in data:
            self._refuse(414, "The address is too long.")

    def _begin(self, head: RequestHead) -> None:
        """Raises HeadRefused."""
        self._head = head
        self._reading = self._hold
        self._body_done = not head.has_body
        self._is_answering = False
        # Whatever becomes of an upgrade, no request comes behind it.
        self._is_last = head.is_upgrade or not head.keeps_alive
        self._was_retried = False
        if head.is_upgrade and self._buffer:
            raise HeadRefused(400, "A WebSocket's first bytes come behind the answer.")
        if head.length > self._house.limits.body_bytes_max:
            raise HeadRefused(413, "The body of the request is too long.")
        live = self._door.find(head.seen[b"host"])
        if live is None:
            self._house.spawn(self._search(head))
        else:
            self._enter(live, head)

    async def _search(self, head: RequestHead) -> None:
        try:
            live = await self._door.search(head.seen[b"host"])
            if live is None:
                raise HeadRefused(404, "No app is offered at this address.")
            if not self.transport.is_closing():
                self._enter(live, head)
        except HeadRefused as error:
            self._refuse(error.status, error.why)
        except Fault as fault:
            self._refuse(fault.http_status, "The app proxy cannot look it up just now.")

    def _enter(self, live: LiveCircuit, head: RequestHead) -> None:
        """Raises HeadRefused."""
        self.live = live
        self._entry.admit(live, head)
        if head.target.startswith(OWN_PREFIX):
            self._house.spawn(self._serve_own(live, head, self._entry.client))
            return
        self._entry.check(live, head)
        live.is_used = True
        self._pass_on(live, head)

    async def _serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> None:
        try:
            answer = await self._door.serve_own(live, head, client)
        except HeadRefused as error:
            self._refuse(error.status, error.why)
        except Fault as fault:
            self._refuse(fault.http_status, "The app proxy cannot look it up just now.")
        else:
            self.transport.write(answer)
            self._end_gently()

    # To the app

    def _pass_on(self, live: LiveCircuit, head: RequestHead) -> None:
        line = None
        if not head.is_upgrade:
            line = live.take_line(self._time(), only_fresh=not head.is_repeatable)
        if line is None:
            self._open(live)
            return
        self._ask(cast(Line, line), head)
        self._send_body()

    def _ask(self, line: Line, head: RequestHead, hello: bytes = b"") -> None:
        self._line = line
        line.ask(self, head, hello + compose_request(head, self._entry.lines), is_new=bool(hello))
        if self._is_behind:
            # The browser has not taken the answers before: this one waits with the app.
            line.transport.pause_reading()

    def _open(self, live: LiveCircuit) -> None:
        self._open_until = self._time() + self._house.limits.relay_timeout
        self._is_greeted = False
        self._set_deadline(self._house.greeting_seconds())
        self._house.spawn(self._open_line(live))

    async def _open_line(self, live: LiveCircuit) -> None:
        try:
            line = await self._house.open_line(live)
        except RelayAway as fault:
            self._refuse(503, fault.detail)
            return
        if self.transport.is_closing() or not live.is_open or self._head is None:
            line.abort()
            return
        self._ask(line, self._head, self._house.tickets.hello(live.circuit))

    def _send_body(self) -> None:
        """The app hears us: send what has come of the body, and then what comes."""
        head = self._head
        assert head is not None
        if self._body_done:
            self._await_answer()
            return
        self._set_deadline(self._house.limits.body_timeout, moves=True)
        if head.is_chunked:
            self._chunks = ChunkReader()
            self._left = self._house.limits.body_bytes_max
            self._reading = self._read_chunks
        else:
            self._left = head.length
            self._reading = self._read_length
        self._go_on(_FULL)
        data, self._buffer = self._buffer, b""
        if data:
            self._reading(data)

    def _await_answer(self) -> None:
        self._reading = self._hold
        self._set_deadline(self._house.limits.answer_timeout)

    def _read_length(self, data: bytes) -> None:
        self.is_active = True
        line = self._line
        if line is None:
            return
        if len(data) < self._left:
            self._left -= len(data)
            line.write(data)
            return
        self._buffer = data[self._left :]
        line.write(data[: self._left])
        self._body_done = True
        self._await_answer()

    def _read_chunks(self, data: bytes) -> None:
        self.is_active = True
        line, chunks = self._line, self._chunks
        if line is None:
            return
        try:
            pieces = chunks.read(data)
        except BadChunks as error:
            self._refuse(400, f"The body of the request is broken: {error}.")
            return
        self._left -= sum(map(len, pieces))
        if self._left < 0:
            self._refuse(413, "The body of the request is too long.")
            return
        line.write(encode_chunks(pieces))
        if chunks.is_complete:
            line.write(encode_end(chunks.trailers))
            self._buffer = chunks.left
            self._body_done = True
            self._await_answer()

    def _hold(self, data: bytes) -> None:
        """What comes before its turn waits, and soon no more is taken."""
        self._buffer += data
        if len(self._buffer) > READ_AHEAD_BYTES:
            self._stop(_FULL)

    def _read_tunnel(self, data: bytes) -> None:
        self.is_active = True
        if self._line is not None:
            self._line.transport.write(data)

    def _discard(self, data: bytes) -> None:
        self._lingered += len(data)
        if self._lingered > LINGER_BYTES_MAX:
            self.transport.abort()

    def _drop(self, _data: bytes) -> None:
        """After the last answer nothing more is heard."""

    def _stop(self, why: int) -> None:
        if not self._held and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held |= why

    def _go_on(self, why: int) -> None:
        if self._held == why and not self.transport.is_closing():
            self.transport.resume_reading()
        self._held &= ~why

    # What the line to the app calls

    def hold_reading(self) -> None:
        self._stop(_BUSY)

    def go_on_reading(self) -> None:
        self._go_on(_BUSY)

    def on_greeted(self) -> None:
        self._is_greeted = True
        self._send_body()

    def on_answering(self, head: AnswerHead) -> bool:
        self._is_answering = True
        self._house.ends["upgraded" if head.status == 101 else "answered"] += 1
        if head.status == 101:
            return False
        # The rest of a request's body would be taken for the next request.
        self._is_last = self._is_last or not self._body_done
        self._set_deadline(self._house.limits.idle_timeout, moves=True)
        return self._is_last

    def on_upgraded(self) -> None:
        self._set_deadline(self._house.limits.idle_timeout, moves=True)
        self._reading = self._read_tunnel
        self._go_on(_FULL)
        data, self._buffer = self._buffer, b""
        if data:
            self._read_tunnel(data)

    def on_line_ended(self) -> bool:
        if self._has_ended and self._line is not None:
            self._part(self._line)
            return False
        if self.transport.is_closing():
            return False
        self.transport.write_eof()
        return True

    def _part(self, line: Line) -> None:
        """Both are left, with what is still on its way to them."""
        self._line = None
        line.leave()
        self.transport.close()

    def on_answered(self, line: Line, *, is_reusable: bool) -> None:
        self._line = None
        if is_reusable and self._body_done and line.is_usable():
            line.rest(self._time())
        else:
            line.transport.close()
        self._go_on(_BUSY)
        if self._is_last or self.transport.is_closing():
            self._end_gently()
            return
        self._await_request()
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._read_next)
        self._go_on(_FULL)

    def _read_next(self) -> None:
        """What a browser had sent ahead."""
        if self._reading == self._read_head and self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_head(data)

    def on_line_refused(self, refusal: tickets.Refusal) -> None:
        self._line = None
        live = self.live
        now = self._time()
        if refusal.code in _PASSING and live is not None and now < self._open_until:
            self._house.spawn(self._open_again(live))
            return
        if refusal.code is RelayCode.DENIED:
            log.warning("relay.denied", circuit=live and live.circuit.id, why=refusal.message)
        self._refuse(*_STATUS[refusal.code])

    async def _open_again(self, live: LiveCircuit) -> None:
        """A node whose agent starts anew does not know its kernels for a moment."""
        await self._house.clock.sleep(_REOPEN_SECONDS)
        if not self.transport.is_closing():
            await self._open_line(live)

    def on_line_lost(self, why: str, *, has_begun: bool, was_silent: bool) -> None:
        line, self._line = self._line, None
        head, live = self._head, self.live
        if self._reading == self._read_tunnel:
            self.transport.close()
            return
        if has_begun or head is None or live is None:
            self.transport.abort()
            return
        was_idle = line is not None and line.is_pooled and was_silent
        if was_idle and head.is_repeatable and not self._was_retried:
            self._was_retried = True
            self._open(live)
            return
        self._refuse(502, why)

    # Ends

    def _drop_line(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.abort()

    def _refuse(self, status: int, why: str) -> None:
        self._drop_line()
        if self.transport.is_closing() or self._reading == self._discard:
            return
        self._house.ends["refused"] += 1
        if self._is_answering:
            # The browser has to see that this is not the end of the answer.
            self.transport.abort()
            return
        refusal = Refusal(status, why, os.urandom(8).hex())
        head = self._head
        as_json = head is not None and head.wants_json
        log.info(
            "visitor.refused",
            status=status,
            why=why,
            request_id=refusal.request_id,
            circuit=self.live and self.live.circuit.id,
        )
        has_body = head is None or head.method != b"HEAD"
        self.transport.write(render_refusal(refusal, as_json=as_json, has_body=has_body))
        self._end_gently()

    def _end_gently(self) -> None:
        """Closed at once, an answer may be lost to a browser that still sends."""
        if self.transport.is_closing():
            return
        self._reading = self._discard
        self._head = None
        self._buffer = b""
        self._set_deadline(LINGER_SECONDS)
        self._held = 0
        self.transport.resume_reading()
        self.transport.write_eof()
