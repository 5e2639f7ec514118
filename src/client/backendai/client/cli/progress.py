"""A line on stderr that shows that something is waited for; nothing when nobody looks."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from backendai.client.cli.beside import run_beside

FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_SECONDS: Final = 0.1
FRAMES_PER_LOOK: Final = 10
CLEAR_LINE: Final = "\r\x1b[K"
COLUMNS: Final = 100


@asynccontextmanager
async def show_waiting(
    text: str, look: Callable[[], Awaitable[str]] | None = None
) -> AsyncIterator[None]:
    """While the block runs, shows `text` or what `look` says (asked once a second)."""
    if not sys.stderr.isatty():
        yield
        return
    try:
        async with run_beside(_spin(text, look), "spinner"):
            yield
    finally:
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


async def _spin(text: str, look: Callable[[], Awaitable[str]] | None) -> None:
    for count, frame in enumerate(itertools.cycle(FRAMES), start=1):
        sys.stderr.write(f"{CLEAR_LINE}{frame} {text[:COLUMNS]}")
        sys.stderr.flush()
        if look is not None and count % FRAMES_PER_LOOK == 0:
            text = await look() or text
        await asyncio.sleep(FRAME_SECONDS)
