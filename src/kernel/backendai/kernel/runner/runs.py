"""The state of a run: what it printed and nobody has fetched yet, and where it stands.

A run is pulled: it never sends, it answers. The last reply is kept, so a lost one can be given
again.
"""

import asyncio
import codecs
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backendai.kernel.wire import BatchOptions, ConsoleItem, ExecuteReply, FailureCode, RunStatus

BUFFER_BYTES_MAX = 2 * 1024 * 1024
EARLY_REPLY_BYTES = 1024 * 1024
REPLY_BYTES_MAX = 4 * 1024 * 1024
TEXT_ITEM_BYTES_MAX = 64 * 1024
# What an item costs beside its content: two streams that alternate make very many small ones.
ITEM_BYTES = 256
SKIP_NOTICE = "\n(Output is left out here: nobody fetched it. The session's log has all of it.)\n"
ENDED_RUNS_KEPT = 16
WAITING_RUNS_MAX = 64


class Refusal(Exception):
    """A request that cannot be carried out; becomes a Failure reply."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code: FailureCode = code
        self.message = message


@dataclass
class TextItem:
    """Adjacent output of one stream, joined only when it is taken."""

    kind: str
    parts: list[str]
    size: int


@dataclass(frozen=True)
class RichItem:
    kind: str
    content: str | tuple[str, str]
    size: int


@dataclass(frozen=True)
class Mark:
    """A point that ends a reply: a stage's end, a question, the end of the run."""

    status: RunStatus
    exit_code: int | None = None
    options: dict[str, Any] | None = None


@dataclass(eq=False)
class Run:
    """One run. `on_room` is called when a full buffer has room again, `on_answer` with each line of
    input.
    """

    run_id: str
    code: str = ""
    batch: BatchOptions | None = None
    on_room: Callable[[], None] | None = None
    ended: bool = False
    question: Mark | None = None
    on_answer: Callable[[str], None] | None = None
    sequence: int = 0
    last_reply: ExecuteReply | None = None
    buffered_bytes: int = 0
    pending: deque[TextItem | RichItem | Mark] = field(default_factory=deque)
    is_skipping: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _marks: int = 0

    def __post_init__(self) -> None:
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": make("replace"), "stderr": make("replace")}

    @property
    def is_full(self) -> bool:
        return self.buffered_bytes >= BUFFER_BYTES_MAX

    def skip(self) -> None:
        """Nobody fetches: what is printed until somebody does is left to the log."""
        if not self.is_skipping:
            self._add(TextItem("stderr", [SKIP_NOTICE], len(SKIP_NOTICE)))
            self.is_skipping = True

    def write(self, kind: str, data: bytes) -> None:
        """Take output of a stream in; a character cut in two waits for its rest."""
        self._add_text(kind, self._decoders[kind].decode(data), len(data))

    def write_text(self, kind: str, text: str) -> None:
        self._add_text(kind, text, len(text))

    def show(self, kind: str, content: str | tuple[str, str]) -> None:
        """Take a rich result in: `html` with text, `media` with (mime, data)."""
        size = len(content) if isinstance(content, str) else len(content[1])
        if not self.ended and not self.is_skipping:
            self._add(RichItem(kind, content, size + ITEM_BYTES))

    def ask(self, *, is_password: bool, on_answer: Callable[[str], None]) -> None:
        """Wait for a line of input; the question stays until it is answered or withdrawn."""
        self.on_answer = on_answer
        self.question = Mark("waiting-input", options={"is_password": is_password})
        self._add(self.question)

    def answer(self, text: str) -> None:
        if self.question is None or self.on_answer is None:
            raise Refusal("not-waiting-input", f"run {self.run_id} does not wait for input")
        self.withdraw_question()
        self.on_answer(text)

    def withdraw_question(self) -> None:
        if self.question is not None and self.question in self.pending:
            self.pending.remove(self.question)
            self._marks -= 1
        self.question = None

    def mark(self, status: RunStatus, exit_code: int | None = None) -> None:
        """End a stage, or with finished and exec-timeout the run; a run ends once, and says no more
        after.
        """
        if self.ended:
            return
        for kind, decoder in self._decoders.items():
            self._add_text(kind, decoder.decode(b"", final=True), 1)
        if status in ("finished", "exec-timeout"):
            self.withdraw_question()
        self._add(Mark(status, exit_code))
        self.ended = status in ("finished", "exec-timeout")

    async def next_reply(self, flush_seconds: float, after: int | None) -> ExecuteReply:
        """The next part of the run: at once when something final is there, else after
        `flush_seconds`.
        """
        lost = self._find_lost_reply(after)
        if lost is not None:
            return lost
        try:
            async with asyncio.timeout(flush_seconds):
                while not self._is_reply_due():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass  # Then the reply says `continued`, with what there is.
        return self._take_reply()

    def _find_lost_reply(self, after: int | None) -> ExecuteReply | None:
        last = self.last_reply
        if last is None:
            return None
        if self.ended and not self.pending:
            return last
        return last if after is not None and after < last.sequence else None

    def _is_reply_due(self) -> bool:
        waits = self.question is not None
        return waits or self._marks > 0 or self.ended or self.buffered_bytes >= EARLY_REPLY_BYTES

    def _take_reply(self) -> ExecuteReply:
        if not self.pending and self.ended and self.last_reply is not None:
            return self.last_reply
        self.is_skipping = False
        console, mark = self._take_items()
        if mark is None and not self.pending:
            mark = self.question
        self.sequence += 1
        self.last_reply = ExecuteReply(
            run_id=self.run_id,
            status=mark.status if mark else "continued",
            sequence=self.sequence,
            exit_code=mark.exit_code if mark else None,
            console=console,
            options=mark.options if mark else None,
        )
        if self.on_room is not None and not self.is_full:
            self.on_room()
        return self.last_reply

    def _take_items(self) -> tuple[list[ConsoleItem], Mark | None]:
        console: list[ConsoleItem] = []
        taken = 0
        while self.pending:
            item = self.pending[0]
            if isinstance(item, Mark):
                self._marks -= 1
                self.pending.popleft()
                return console, item
            if console and taken + item.size > REPLY_BYTES_MAX:
                break
            self.pending.popleft()
            taken += item.size
            self.buffered_bytes -= item.size
            content = "".join(item.parts) if isinstance(item, TextItem) else item.content
            console.append((item.kind, content))
        return console, None

    def _add_text(self, kind: str, text: str, size: int) -> None:
        if not text or self.ended or self.is_skipping:
            return
        last = self.pending[-1] if self.pending else None
        if isinstance(last, TextItem) and last.kind == kind and last.size < TEXT_ITEM_BYTES_MAX:
            last.parts.append(text)
            last.size += size
            self.buffered_bytes += size
            self._changed.set()
        else:
            self._add(TextItem(kind, [text], size + ITEM_BYTES))

    def _add(self, item: TextItem | RichItem | Mark) -> None:
        self.pending.append(item)
        if isinstance(item, Mark):
            self._marks += 1
        else:
            self.buffered_bytes += item.size
        self._changed.set()


class RunBook:
    """The runs that are known: all that live, and the last few that ended."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self.queue: asyncio.Queue[Run] = asyncio.Queue(WAITING_RUNS_MAX)

    def find(self, run_id: str) -> Run | None:
        return self._runs.get(run_id)

    def get(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise Refusal("unknown-run", f"no run {run_id!r}: it never began or ended long ago")
        return run

    def begin(self, run: Run) -> None:
        """Queue a new run; it executes when those before it have ended."""
        try:
            self.queue.put_nowait(run)
        except asyncio.QueueFull:
            raise Refusal(
                "busy", f"{WAITING_RUNS_MAX} runs wait already; let some of them end first"
            ) from None
        self._runs[run.run_id] = run
        self._forget_old()

    def _forget_old(self) -> None:
        ended = [run_id for run_id, run in self._runs.items() if run.ended]
        for run_id in ended[:-ENDED_RUNS_KEPT]:
            del self._runs[run_id]
