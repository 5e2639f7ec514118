"""A connection through a node's relay to an app: its answers go straight to the browser.

The relay is greeted with a ticket and the first request in one packet. A head of an answer is read
and written anew; bodies pass as they are, but for the chunked coding, which is read strictly.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from backendai.common.tickets import LINE_BYTES_MAX, Refusal, RelayCode, decode_answer

from ..circuits.live import LiveCircuit
from .answers import AnswerHead, AnswerReader, AnswerRefused, Body
from .chunks import BadChunks, ChunkReader, encode_chunks, encode_end
from .cookies import CookieRules
from .heads import RequestHead

WRITE_AHEAD_BYTES: Final = 256 << 10
# Answers before the answer, such as `100 Continue`.
EARLY_ANSWERS_MAX: Final = 16
_END: Final = b"\r\n\r\n"


class Asker(Protocol):
    """Who waits for the answer: the connection of a browser."""

    transport: asyncio.Transport
    is_active: bool

    def on_greeted(self) -> None: ...

    def on_answering(self, head: AnswerHead) -> bool:
        """Says whether the browser's connection ends behind this answer."""
        ...

    def on_upgraded(self) -> None: ...

    def on_line_ended(self) -> bool:
        """The app has nothing more to send. Says whether it is still sent to."""
        ...

    def on_answered(self, line: "Line", *, is_reusable: bool) -> None: ...

    def on_line_refused(self, refusal: Refusal) -> None: ...

    def on_line_lost(self, why: str, *, has_begun: bool, was_silent: bool) -> None:
        """`has_begun`: some of the answer is with the browser; `was_silent`: there was none."""
        ...

    def hold_reading(self) -> None: ...

    def go_on_reading(self) -> None: ...


class Line(asyncio.Protocol):
    """One request at a time; `asker` is whose."""

    __slots__ = (
        "_answers",
        "_asked",
        "_asker",
        "_buffer",
        "_chunks",
        "_early",
        "_has_answered",
        "_head_bytes_max",
        "_is_last",
        "_left",
        "_live",
        "_reading",
        "_reusable",
        "has_ended",
        "idle_since",
        "is_pooled",
        "transport",
    )

    def __init__(self, live: LiveCircuit, rules: CookieRules, head_bytes_max: int) -> None:
        self._live = live
        self._answers = AnswerReader(rules)
        self._head_bytes_max = head_bytes_max
        self._asked: RequestHead
        self._asker: Asker | None = None
        self._buffer = b""
        self._chunks = ChunkReader()
        self._early = 0
        self._has_answered = False
        self._is_last = False
        self._left = 0
        self._reusable = False
        self._reading: Callable[[bytes], None] = self._read_greeting
        self.has_ended = False
        self.idle_since = 0.0
        self.is_pooled = False
        self.transport: asyncio.Transport

    # What the browser's side does

    def ask(self, asker: Asker, head: RequestHead, data: bytes, *, is_new: bool) -> None:
        """Send `data`: the head as the app gets it, behind a ticket where the line is new."""
        self._asker = asker
        self._asked = head
        self._buffer = b""
        self._early = 0
        self._has_answered = False
        self._reading = self._read_greeting if is_new else self._read_head
        self.transport.write(data)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def write_eof(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def rest(self, at: float) -> None:
        """Wait for the next request, of whoever comes: this one may have read slowly."""
        self._asker = None
        self.transport.resume_reading()
        self.is_pooled = True
        self.idle_since = at
        self._reading = self._read_nothing
        self._live.keep_line(self)

    def is_usable(self) -> bool:
        return not self.transport.is_closing()

    def leave(self) -> None:
        """What was sent still arrives."""
        self._asker = None
        self._reading = self._read_nothing
        self.transport.close()

    def abort(self) -> None:
        self._asker = None
        self._reading = self._read_nothing
        self.transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)

    def data_received(self, data: bytes) -> None:
        self._reading(data)

    def pause_writing(self) -> None:
        if self._asker is not None:
            self._asker.hold_reading()

    def resume_writing(self) -> None:
        if self._asker is not None:
            self._asker.go_on_reading()

    def eof_received(self) -> bool:
        if self._reading == self._read_tunnel and self._asker is not None:
            self.has_ended = True
            return self._asker.on_line_ended()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        asker, self._asker = self._asker, None
        if asker is None:
            self._live.drop_line(self)
        elif self._reading == self._read_until_close and error is None:
            asker.on_answered(self, is_reusable=False)
        else:
            has_begun = self._reading not in (self._read_greeting, self._read_head)
            asker.on_line_lost(
                "The app hung up.", has_begun=has_begun, was_silent=not self._has_answered
            )

    # What is being read

    def _read_nothing(self, _data: bytes) -> None:
        """An app that talks unasked is not asked again."""
        self._live.drop_line(self)
        self.transport.abort()

    def _read_greeting(self, data: bytes) -> None:
        data = self._buffer + data
        line, newline, rest = data.partition(b"\n")
        if not newline and len(data) < LINE_BYTES_MAX:
            self._buffer = data
            return
        asker = self._asker
        assert asker is not None
        try:
            refusal = decode_answer(line)
        except ValueError as error:
            refusal = Refusal(RelayCode.FAILED, str(error))
        if refusal is not None:
            self.abort()
            asker.on_line_refused(refusal)
            return
        self._buffer = b""
        self._reading = self._read_head
        asker.on_greeted()
        if rest and self._asker is not None:
            self._reading(rest)

    def _read_head(self, data: bytes) -> None:
        self._has_answered = True
        data = self._buffer + data if self._buffer else data
        end = data.find(_END)
        if end < 0 or end > self._head_bytes_max:
            self._buffer = data
            if len(data) > self._head_bytes_max:
                self._fail("The head of the app's answer is too long.")
            return
        asker = self._asker
        assert asker is not None
        self._buffer = b""
        try:
            head = self._answers.read(data[: end + 4], is_head_method=self._asked.method == b"HEAD")
        except AnswerRefused as error:
            self._fail(str(error))
            return
        self._answer(asker, head, data[end + 4 :])

    def _answer(self, asker: Asker, head: AnswerHead, rest: bytes) -> None:
        if head.status < 200:
            self._answer_early(asker, head, rest)
            return
        is_chunking = head.body is Body.CHUNKED and self._asked.is_http11
        self._is_last = asker.on_answering(head) or (
            head.body is Body.UNTIL_CLOSE or (head.body is Body.CHUNKED and not is_chunking)
        )
        self._reusable = head.keeps_alive
        composed = head.compose(is_last=self._is_last, is_chunking=is_chunking)
        match head.body:
            case Body.LENGTH if len(rest) >= head.length:
                asker.transport.write(composed + rest[: head.length])
                self._finish(rest[head.length :])
            case Body.LENGTH:
                asker.transport.write(composed + rest)
                self._left = head.length - len(rest)
                self._reading = self._read_length
            case Body.NONE:
                asker.transport.write(composed)
                self._finish(rest)
            case Body.CHUNKED:
                asker.transport.write(composed)
                self._chunks = ChunkReader()
                self._reading = self._read_chunks if is_chunking else self._read_plain_chunks
                self._reading(rest)
            case Body.UNTIL_CLOSE:
                asker.transport.write(composed + rest)
                self._reading = self._read_until_close

    def _answer_early(self, asker: Asker, head: AnswerHead, rest: bytes) -> None:
        if head.status == 101:
            if not (self._asked.is_upgrade and head.is_upgrade):
                self._fail("The app speaks of another protocol that nobody asked for.")
                return
            asker.on_answering(head)
            asker.transport.write(head.compose(is_last=False, is_chunking=False) + rest)
            self._reading = self._read_tunnel
            asker.on_upgraded()
            return
        self._early += 1
        if self._early > EARLY_ANSWERS_MAX:
            self._fail("The app goes on announcing its answer.")
            return
        if self._asked.is_http11:
            asker.transport.write(head.compose(is_last=False, is_chunking=False))
        if rest:
            self._read_head(rest)

    def _read_length(self, data: bytes) -> None:
        asker = self._asker
        if asker is None:
            return
        asker.is_active = True
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            asker.transport.write(data)
        else:
            asker.transport.write(data[:left])
            self._finish(data[left:])

    def _read_chunks(self, data: bytes) -> None:
        self._pass_chunks(data, is_plain=False)

    def _read_plain_chunks(self, data: bytes) -> None:
        """For browsers that do not know the coding: the content, and the end of the connection."""
        self._pass_chunks(data, is_plain=True)

    def _pass_chunks(self, data: bytes, *, is_plain: bool) -> None:
        asker, chunks = self._asker, self._chunks
        if asker is None:
            return
        asker.is_active = True
        try:
            pieces = chunks.read(data)
        except BadChunks as error:
            self._fail(str(error))
            return
        out = b"".join(pieces) if is_plain else encode_chunks(pieces)
        if chunks.is_complete:
            out += b"" if is_plain else encode_end(chunks.trailers)
            asker.transport.write(out)
            self._finish(chunks.left)
        elif out:
            asker.transport.write(out)

    def _read_until_close(self, data: bytes) -> None:
        if self._asker is not None:
            self._asker.is_active = True
            self._asker.transport.write(data)

    def _read_tunnel(self, data: bytes) -> None:
        if self._asker is not None:
            self._asker.is_active = True
            self._asker.transport.write(data)

    def _finish(self, extra: bytes) -> None:
        asker, self._asker = self._asker, None
        self._reading = self._read_nothing
        if asker is not None:
            asker.on_answered(self, is_reusable=self._reusable and not extra)

    def _fail(self, why: str) -> None:
        asker = self._asker
        has_begun = self._reading != self._read_head
        self.abort()
        if asker is not None:
            asker.on_line_lost(why, has_begun=has_begun, was_silent=False)
