"""A shell that outlives those who look at it: its terminal, its scroll-back, and its viewers."""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from backendai.kernel.apps.scrollback import Scrollback
from backendai.kernel.apps.shells import (
    Size,
    find_shell,
    make_shell_environ,
    resize,
    spawn_on_terminal,
)

GULP_BYTES: Final = 64 * 1024
# So much waits for a viewer before the shell has to; a viewer that takes nothing for a while goes.
WAITING_BYTES_MAX: Final = 512 * 1024
STALL_SECONDS_MAX: Final = 10.0
INPUT_BYTES_MAX: Final = 4 * 1024 * 1024
FIRST_SIZE: Final = Size(24, 80)

HANG_UP_SECONDS_MAX: Final = 1.0

Started = tuple[Process, int]
Spawn = Callable[[Size], Coroutine[Any, Any, Started]]

_logger = logging.getLogger(__name__)


class Viewer:
    """Somebody who looks: what still has to be sent, in order. `tell` queues an event."""

    def __init__(self, on_room: Callable[[], None]) -> None:
        self.size: Size | None = None
        self.is_dropped = False
        self.waiting_bytes = 0
        self._pieces: deque[bytes | dict[str, Any]] = deque()
        self._is_due = asyncio.Event()
        self._on_room = on_room
        self._is_closed = False
        self.taken_at = asyncio.get_running_loop().time()

    def show(self, data: bytes) -> None:
        if not self.waiting_bytes:
            self.taken_at = asyncio.get_running_loop().time()
        self._pieces.append(data)
        self.waiting_bytes += len(data)
        self._is_due.set()

    def tell(self, event: dict[str, Any]) -> None:
        self._pieces.append(event)
        self._is_due.set()

    def close(self, *, is_dropped: bool = False) -> None:
        """No more comes; a dropped one does not get what waits either."""
        self._is_closed = True
        self.is_dropped = self.is_dropped or is_dropped
        self._is_due.set()

    async def take(self) -> bytes | dict[str, Any] | None:
        """The next piece, output joined up; None at the end."""
        while not self._pieces and not self._is_closed:
            self._is_due.clear()
            await self._is_due.wait()
        if not self._pieces or self.is_dropped:
            return None
        piece = self._pieces.popleft()
        if isinstance(piece, dict):
            return piece
        joined = bytearray(piece)
        while self._pieces and len(joined) < GULP_BYTES:
            following = self._pieces[0]
            if isinstance(following, dict):
                break
            joined += following
            self._pieces.popleft()
        self.waiting_bytes -= len(joined)
        self.taken_at = asyncio.get_running_loop().time()
        self._on_room()
        return bytes(joined)


class Terminal:
    """One shell at a time, from the start of the first to the end of the last."""

    def __init__(self, shell: str, spawn: Spawn, started: Started, on_end: Callable[[], None]):
        self._shell = shell
        self._spawn = spawn
        self._process, self._master = started
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._scrollback = Scrollback()
        self._viewers: set[Viewer] = set()
        self._input = bytearray()
        self._size = FIRST_SIZE
        self._watch: asyncio.TimerHandle | None = None
        self._is_over = False
        self._is_restarting = False
        self._loop.add_reader(self._master, self._read)
        self._living = asyncio.create_task(self._live(), name="shell")

    def attach(self, size: Size | None, *, is_new: bool) -> Viewer:
        """A new viewer, which first gets what was printed before."""
        viewer = Viewer(self._heed_room)
        viewer.size = size
        earlier = self._scrollback.read()
        viewer.tell(self._describe(is_new=is_new, scrollback=len(earlier)))
        if earlier:
            viewer.show(earlier)
        self._viewers.add(viewer)
        self._fit()
        if not is_new:
            self._have_redrawn()
        return viewer

    def detach(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._fit()
            self._heed_room()

    def resize(self, viewer: Viewer, size: Size) -> None:
        viewer.size = size
        self._fit()

    def type(self, data: bytes) -> bool:
        """Give input to the shell; False when too much waits for it already."""
        if len(self._input) + len(data) > INPUT_BYTES_MAX:
            return False
        if not self._is_over:
            self._input += data
            self._write()
        return True

    def restart(self) -> None:
        """End the shell and start another one for the same viewers."""
        self._is_restarting = True
        self._signal(signal.SIGHUP)
        self._loop.call_later(HANG_UP_SECONDS_MAX, self._kill, self._process.pid)

    async def end(self) -> None:
        """As when a terminal is closed: all on it are hung up on."""
        self._is_restarting = False
        self._signal(signal.SIGHUP)
        await asyncio.wait([self._living], timeout=HANG_UP_SECONDS_MAX)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _kill(self, pid: int) -> None:
        """A shell that does not heed being hung up on."""
        if self._process.pid == pid and self._process.returncode is None:
            self._signal(signal.SIGKILL)

    def _describe(self, *, is_new: bool, scrollback: int) -> dict[str, Any]:
        facts = {"pid": self._process.pid, "shell": self._shell, "is_new": is_new}
        return {"event": "opened", **facts, "scrollback": scrollback}

    def _fit(self) -> None:
        """To the smallest of the viewers, so that each sees all of it."""
        sizes = [viewer.size for viewer in self._viewers if viewer.size]
        if sizes:
            rows = min(size.rows for size in sizes)
            self._size = Size(rows, min(size.columns for size in sizes))
        if not self._is_over:
            resize(self._master, self._size)
        self._tell_all(
            {
                "event": "viewers",
                "count": len(self._viewers),
                "rows": self._size.rows,
                "cols": self._size.columns,
            }
        )

    def _have_redrawn(self) -> None:
        """A program that fills the screen draws it again for who has only the end of its output."""
        with suppress(OSError):
            os.killpg(os.tcgetpgrp(self._master), signal.SIGWINCH)

    def _tell_all(self, event: dict[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.tell(event)

    def _read(self) -> None:
        try:
            data = os.read(self._master, GULP_BYTES)
        except BlockingIOError:
            return
        except OSError:
            # That is how a terminal says that nobody has it open any more.
            data = b""
        if not data:
            self._loop.remove_reader(self._master)
            return
        self._scrollback.add(data)
        for viewer in self._viewers:
            viewer.show(data)
        if any(viewer.waiting_bytes > WAITING_BYTES_MAX for viewer in self._viewers):
            self._pause()

    def _pause(self) -> None:
        self._loop.remove_reader(self._master)
        self._watch = self._loop.call_later(STALL_SECONDS_MAX, self._drop_stalled)

    def _heed_room(self) -> None:
        if self._watch is None or any(
            viewer.waiting_bytes > WAITING_BYTES_MAX // 2 for viewer in self._viewers
        ):
            return
        self._watch.cancel()
        self._watch = None
        if not self._is_over:
            self._loop.add_reader(self._master, self._read)

    def _drop_stalled(self) -> None:
        """Nobody holds up the shell for ever, and the other viewers with it."""
        oldest = self._loop.time() - STALL_SECONDS_MAX
        for viewer in list(self._viewers):
            if viewer.waiting_bytes > WAITING_BYTES_MAX // 2 and viewer.taken_at <= oldest:
                _logger.info("a viewer that takes nothing is dropped")
                viewer.close(is_dropped=True)
                self.detach(viewer)
        if self._watch is not None:
            self._watch = self._loop.call_later(STALL_SECONDS_MAX, self._drop_stalled)

    def _write(self) -> None:
        try:
            written = os.write(self._master, self._input[:GULP_BYTES])
            del self._input[:written]
        except BlockingIOError:
            _logger.debug("the shell does not read")
        except OSError:
            self._input.clear()
        if self._input:
            self._loop.add_writer(self._master, self._write)
        else:
            self._loop.remove_writer(self._master)

    async def _live(self) -> None:
        while True:
            exit_code = await self._process.wait()
            self._is_over = True
            self._clear_up()
            self._tell_all({"event": "exited", "exit_code": exit_code})
            if not (self._is_restarting and await self._start_again()):
                break
        for viewer in self._viewers:
            viewer.close()
        self._on_end()

    def _clear_up(self) -> None:
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self._take_last_words()
        os.close(self._master)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _start_again(self) -> bool:
        try:
            self._process, self._master = await self._spawn(self._size)
        except OSError as error:
            _logger.warning("no shell starts: %s", error)
            return False
        self._is_restarting = self._is_over = False
        self._scrollback, self._input = Scrollback(), bytearray()
        self._loop.add_reader(self._master, self._read)
        self._tell_all(self._describe(is_new=True, scrollback=0))
        return True

    def _take_last_words(self) -> None:
        """What the shell printed before it ended; what it left running may go on printing."""
        with suppress(OSError):
            for _ in range(16):
                data = os.read(self._master, GULP_BYTES)
                if not data:
                    return
                for viewer in self._viewers:
                    viewer.show(data)


class Terminals:
    """By name; a shell that has ended makes room for a new one of its name."""

    def __init__(self, environ: Mapping[str, str], work_dir: Path, count_max: int) -> None:
        self._environ = environ
        self._work_dir = work_dir
        self._count_max = count_max
        self._terminals: dict[str, Terminal] = {}
        self._opening = asyncio.Lock()

    async def open(self, name: str, size: Size | None) -> tuple[Terminal, Viewer]:
        """Raises OSError when no shell starts, and ValueError when there are too many."""
        async with self._opening:
            terminal = self._terminals.get(name)
            if terminal is not None:
                return terminal, terminal.attach(size, is_new=False)
            if len(self._terminals) >= self._count_max:
                raise ValueError(f"there are {self._count_max} terminals already: end one of them")
            shell = find_shell(self._environ)
            environ = make_shell_environ(self._environ, shell)

            def spawn(size: Size) -> Coroutine[Any, Any, Started]:
                return spawn_on_terminal([*shell, "-i"], environ, self._work_dir, size)

            started = await spawn(size or FIRST_SIZE)
            terminal = Terminal(shell[0], spawn, started, lambda: self._forget(name))
            self._terminals[name] = terminal
            return terminal, terminal.attach(size, is_new=True)

    async def close(self) -> None:
        for terminal in list(self._terminals.values()):
            await terminal.end()

    def _forget(self, name: str) -> None:
        self._terminals.pop(name, None)
