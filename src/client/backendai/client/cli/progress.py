"""Tells on stderr what is waited for: a spinner for who looks, else a line at each change."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from backendai.client.cli.beside import run_beside
from backendai.client.cli.render import CLEAR_LINE, cell, count_columns, cut, is_terminal

FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_SECONDS: Final = 0.1
FRAMES_PER_LOOK: Final = 10
QUIET_SECONDS: Final = 2.0

Look = Callable[[], Awaitable[str]]


@asynccontextmanager
async def show_waiting(text: str, look: Look) -> AsyncIterator[None]:
    """While the block runs, shows `text` or what `look` says (empty: nothing new)."""
    is_seen = is_terminal(sys.stderr)
    work = _spin(text, look) if is_seen else _tell_changes(text, look)
    try:
        async with run_beside(work, "progress"):
            yield
    finally:
        if is_seen:
            _write(CLEAR_LINE)


async def _spin(text: str, look: Look) -> None:
    for count, frame in enumerate(itertools.cycle(FRAMES), start=1):
        room = count_columns() - 3
        _write(f"{CLEAR_LINE}{frame} {cut(cell(text), room)}")
        if count % FRAMES_PER_LOOK == 0:
            text = await look() or text
        await asyncio.sleep(FRAME_SECONDS)


async def _tell_changes(text: str, look: Look) -> None:
    """Says nothing of short waits, and each thing once until another was said."""
    said = ""
    while True:
        await asyncio.sleep(QUIET_SECONDS)
        text = await look() or text
        if text != said:
            _write(f"{cell(text)}\n")
            said = text


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
