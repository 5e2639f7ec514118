"""Steps on the screen: live with running times in a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_STYLES = {"running": "yellow", "done": "green", "failed": "red"}
_MARKS = {"running": "…", "done": "✓", "failed": "✗"}


@dataclass
class _Step:
    title: str
    started_at: float
    state: str = "running"
    seconds: float = 0.0
    note: str = ""

    def describe(self) -> str:
        seconds = time.monotonic() - self.started_at if self.state == "running" else self.seconds
        note = f"  {self.note}" if self.note else ""
        return f" {_MARKS[self.state]} {self.title:<34}{seconds:6.1f} s{note}"


@dataclass
class Display:
    """Use as a context manager; steps may run side by side, also in threads."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    _steps: list[_Step] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _live: "Live | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Display":
        if self.out.isatty():
            from rich.console import Console
            from rich.live import Live

            live = Live(get_renderable=self._render, console=Console(file=self.out), transient=True)
            self._live = self._stack.enter_context(live)
        return self

    def __exit__(self, *reason: object) -> None:
        was_live = self._live is not None
        self._stack.close()
        self._live = None
        if was_live:
            for step in self._steps:
                self._write(step.describe())

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step; the function that it gives shows what is being done within."""
        step = _Step(title, time.monotonic())
        with self._lock:
            self._steps.append(step)

        def say(note: str) -> None:
            if note != step.note and self._live is None:
                self._write(f"   {title}: {note}")
            step.note = note

        try:
            yield say
            # What was being done says nothing once it is done; of a failure it is the place.
            step.state, step.note = "done", ""
        except BaseException:
            step.state = "failed"
            raise
        finally:
            step.seconds = time.monotonic() - step.started_at
            if self._live is None:
                self._write(step.describe())

    def say(self, words: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(words, highlight=False, markup=False)
        else:
            self._write(words)

    def _write(self, line: str) -> None:
        with self._lock:
            print(line, file=self.out, flush=True)

    def _render(self) -> "Text":
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ellipsis")
        for step in list(self._steps):
            text.append(step.describe() + "\n", style=_STYLES[step.state])
        return text
