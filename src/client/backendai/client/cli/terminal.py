"""Lines that code asks for, read from stdin without blocking the loop."""

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from backendai.client.results import Prompt

STDIN: Final = 0
CHUNK_BYTES: Final = 65536


class LineReader:
    """Reads lines of a file descriptor; what came beyond a line is kept for the next."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._is_ended = False

    async def read_line(self) -> str:
        """A line without its end; empty after the last one."""
        while b"\n" not in self._rest and not self._is_ended:
            await self._wait_readable()
            chunk = os.read(self._descriptor, CHUNK_BYTES)
            self._is_ended = not chunk
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    async def _wait_readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except PermissionError:
            return  # a regular file is always readable
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


class Terminal:
    """Answers prompts of code from stdin, unseen where a password is asked for.

    One for a whole command: it may hold lines that the next execution asks for.
    """

    def __init__(self) -> None:
        self._lines = LineReader(STDIN)

    async def answer(self, prompt: Prompt) -> str:
        if not (prompt.is_password and os.isatty(STDIN)):
            return await self._lines.read_line()
        with _without_echo(STDIN):
            line = await self._lines.read_line()
        sys.stderr.write("\n")
        return line


@contextmanager
def _without_echo(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
