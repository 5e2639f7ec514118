"""Output on its way out of user processes: read from pipes, written to the log, handed to the run.

A pipe that gives sips is left alone for a while in between, so a program that prints much line by
line does not wake the runner for each line. When the run's buffer is full the pipe is not read, and
the program waits.
"""

import array
import asyncio
import fcntl
import logging
import os
import termios
from pathlib import Path
from typing import BinaryIO

from backendai.kernel.runner.runs import Run

LOG_BYTES_MAX = 10 * 1024 * 1024
GULP_BYTES = 256 * 1024
SIP_BYTES = 32 * 1024
REST_SECONDS = 0.003
ABANDONED_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class ConsoleLog:
    """The log file of everything that was printed; at `bytes_max` it becomes `<name>.1` and a new
    one begins.
    """

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file: BinaryIO | None = None
        self._size = 0
        self._is_failing = False

    def write(self, data: bytes) -> None:
        """Append; a full disk costs log lines and is said once, never the user's work."""
        try:
            while data:
                file = self._open_with_room()
                piece = data[: self._bytes_max - self._size]
                file.write(piece)
                self._size += len(piece)
                data = data[len(piece) :]
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                _logger.error("console.log cannot be written: %s", error)
            self._is_failing = True

    def _open_with_room(self) -> BinaryIO:
        if self._file is not None and self._size < self._bytes_max:
            return self._file
        if self._file is not None:
            self._file.close()
            self._file = None
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._size >= self._bytes_max:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = os.fstat(descriptor).st_size
        return self._file if self._size < self._bytes_max else self._open_with_room()


class Funnel:
    """Where the pipes of a process lead: always to the log, and to a run while one is bound."""

    def __init__(self, log: ConsoleLog) -> None:
        self._log = log
        self._taps: list[Tap] = []
        self._run: Run | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._is_hurried = False
        self.open = asyncio.Event()
        self.open.set()

    @property
    def run(self) -> Run | None:
        return self._run

    def bind(self, run: Run | None) -> None:
        """Send output to this run from now on; None: to the log alone."""
        if self._run is not None:
            self._run.on_room = None
        self._run = run
        self._is_hurried = False
        if run is not None:
            run.on_room = self._resume
        self._resume()

    def tap(self, descriptor: int, kind: str) -> None:
        """Read from this pipe end, and own it; `kind` is `stdout` or `stderr`."""
        self._taps.append(Tap(descriptor, kind, self))

    def feed(self, kind: str, data: bytes) -> None:
        self._log.write(data)
        if self._run is not None:
            self._run.write(kind, data)
            self.heed_room()

    def heed_room(self) -> None:
        """Stop reading when the run is full and somebody may still fetch it."""
        run = self._run
        if run is not None and run.is_full and not run.is_skipping and self.open.is_set():
            if self._is_hurried:
                run.skip()
                return
            self.open.clear()
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(ABANDONED_SECONDS, self._give_up, run)
            for tap in self._taps:
                tap.pause()

    def hurry(self) -> None:
        """The run is to end: from now on nobody's slowness holds up its program, which could not
        heed a signal while it waits to print.
        """
        self._is_hurried = True
        if self._run is not None and not self.open.is_set():
            self._give_up(self._run)

    def drain(self) -> None:
        """Take in what the pipes hold at this moment."""
        for tap in self._taps:
            tap.drain()

    def close(self) -> None:
        for tap in self._taps:
            tap.close()

    def _give_up(self, run: Run) -> None:
        """A run that nobody fetches must not hold up its program and the runs behind it."""
        run.skip()
        self._resume()

    def _resume(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.open.set()
        for tap in self._taps:
            tap.resume()


class Tap:
    """The reading end of one pipe."""

    def __init__(self, descriptor: int, kind: str, funnel: Funnel) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._funnel = funnel
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._is_closed = False
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._gulp)

    def pause(self) -> None:
        self._end_rest()
        if not self._is_closed:
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        self._end_rest()
        if not self._is_closed and self._funnel.open.is_set():
            self._loop.add_reader(self._descriptor, self._gulp)

    def drain(self) -> None:
        """Bounded by what the pipe holds now: a process that never stops printing cannot hold us
        here.
        """
        if self._is_closed:
            return
        held = array.array("i", [0])
        fcntl.ioctl(self._descriptor, termios.FIONREAD, held)
        left = held[0]
        while left > 0:
            data = os.read(self._descriptor, left)
            left -= len(data)
            self._funnel.feed(self._kind, data)

    def close(self) -> None:
        if not self._is_closed:
            self.pause()
            self._is_closed = True
            os.close(self._descriptor)

    def _gulp(self) -> None:
        try:
            data = os.read(self._descriptor, GULP_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        self._funnel.feed(self._kind, data)
        if len(data) < SIP_BYTES and self._funnel.open.is_set():
            self._loop.remove_reader(self._descriptor)
            self._rest = self._loop.call_later(REST_SECONDS, self.resume)

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None


def make_pipe() -> tuple[int, int]:
    """A pipe (reading end, writing end) that holds a gulp when the system's limits allow it."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, GULP_BYTES)
    except OSError:
        _logger.debug("pipe keeps its default size")
    return reading, writing
