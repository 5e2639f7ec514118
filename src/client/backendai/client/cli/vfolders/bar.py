"""How far copying is: a line that is redrawn for who looks, and a path per file for programs."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.render import CLEAR_LINE, cell, count_columns, cut, is_terminal
from backendai.client.cli.units import show_duration, show_size

if TYPE_CHECKING:
    from backendai.client.vfolders.moving import Progress

REDRAW_SECONDS: Final = 0.1
# The rate is that of so long ago to now.
RATE_SECONDS: Final = 5.0
BLOCKS: Final = 16


class Bar:
    """Give `on_progress` to what copies. Times are of a clock that only goes on."""

    def __init__(self) -> None:
        self._is_drawn = is_terminal(sys.stderr)
        self._tells_paths = not sys.stdout.isatty()
        self._samples: deque[tuple[float, int]] = deque()
        self._drawn_at = 0.0
        self._files_done = 0

    def on_progress(self, progress: "Progress") -> None:
        if progress.files_done > self._files_done:
            self._files_done = progress.files_done
            if self._tells_paths:
                click.echo(cell(progress.path))
        if self._is_drawn:
            self._draw(progress, time.monotonic())

    def clear(self) -> None:
        if self._is_drawn:
            _write(CLEAR_LINE)

    def _draw(self, progress: "Progress", now: float) -> None:
        self._samples.append((now, progress.all_done))
        while now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()
        if now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        then, done = self._samples[0]
        rate = (progress.all_done - done) / (now - then) if now > then else 0.0
        _write(CLEAR_LINE + cut(format_progress(progress, rate), count_columns() - 1))


@contextmanager
def shown_bar() -> Iterator[Bar]:
    bar = Bar()
    try:
        yield bar
    finally:
        bar.clear()


def format_progress(progress: "Progress", rate: float) -> str:
    """One line; `rate` in bytes a second, none where it is not positive."""
    share = progress.all_done / progress.all_size if progress.all_size else 1.0
    filled = min(int(share * BLOCKS), BLOCKS)
    parts = [
        f"{'█' * filled}{'░' * (BLOCKS - filled)} {min(int(share * 100), 100):3d}%",
        f"{progress.files_done}/{progress.files} files",
        f"{_size(progress.all_done)} of {_size(progress.all_size)}",
    ]
    if rate > 0:
        left = (progress.all_size - progress.all_done) / rate
        parts += [f"{_size(rate)}/s", f"{show_duration(timedelta(seconds=left))} left"]
    return "  ".join([*parts, cell(progress.path)])


def show_sum(files: int, size_bytes: int, seconds: float) -> None:
    """On stderr: what was copied, and how fast."""
    rate = f", {_size(size_bytes / seconds)}/s" if seconds > 0 and size_bytes else ""
    noun = "file" if files == 1 else "files"
    click.echo(f"{files} {noun}, {_size(size_bytes)}{rate}", err=True)


def show_skipped(paths: tuple[str, ...]) -> None:
    for path in paths:
        click.echo(f"skipped, no file or directory: {cell(path)}", err=True)


def _size(amount: float) -> str:
    return show_size(Decimal(int(amount)))


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
