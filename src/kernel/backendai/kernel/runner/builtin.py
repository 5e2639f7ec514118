"""The apps that the runner brings: each a process of the bundle's interpreter, started when
somebody connects, and again when it has ended.

The runner listens for them, so who connects while one comes up waits in the queue of its socket.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from backendai.kernel.runner.doors import listen_at
from backendai.kernel.runner.environment import hide_preload, make_bundle_command
from backendai.kernel.runner.processes import Child
from backendai.kernel.runner.programs import Programs
from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import APPS_NAME

READY_SECONDS_MAX: Final = 25.0
SIBLINGS_WAITING_MAX: Final = 128
_logger = logging.getLogger(__name__)


class BuiltIns:
    """The sockets and processes of all of them."""

    def __init__(
        self, programs: Programs, environ: Mapping[str, str], run_dir: Path, work_dir: Path
    ) -> None:
        self._programs = programs
        self._environ = hide_preload(environ)
        self._run_dir = run_dir
        self._work_dir = work_dir
        self._listeners: dict[str, list[socket.socket]] = {}
        self._ready: dict[str, Child] = {}
        self._is_ending = False
        self._waking: set[asyncio.Task[None]] = set()

    def listen_for_siblings(self, name: str, port: int) -> None:
        """On the network of the session as well. Who gets there needs the key of the session; the
        firewall of the node lets only its kernels through."""
        try:
            listener = socket.create_server(("", port), backlog=SIBLINGS_WAITING_MAX)
        except OSError as error:
            _logger.warning("%s is not there for other kernels: %s", name, error)
            return
        listener.setblocking(False)
        self._list_listeners(name).append(listener)
        self._watch(name)

    def refuse_starts(self) -> None:
        """From now on nobody is waited for."""
        self._is_ending = True

    def is_running(self, name: str) -> bool:
        child = self._ready.get(name)
        return child is not None and not child.ended.done()

    async def start(self, name: str) -> bool:
        """Whether it had to be started; raises Refusal when it does not come up."""
        async with self._programs.lock(name):
            if self.is_running(name):
                return False
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                child = self._spawn(name, writing)
            except OSError as error:
                os.close(reading)
                raise Refusal("not-started", f"{name} cannot be started: {error}") from error
            finally:
                os.close(writing)
            await self._await_ready(name, child, reading)
            self._ready[name] = child
            child.ended.add_done_callback(lambda _: self._watch(name))
            return True

    def connect(self, name: str) -> socket.socket:
        """A stream to the process that runs; raises Refusal."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.setblocking(False)
        folder = os.open(self._run_dir / APPS_NAME, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            stream.connect(f"/proc/self/fd/{folder}/{name}.sock")
        except OSError as error:
            stream.close()
            is_full = isinstance(error, BlockingIOError)
            raise Refusal(
                "busy" if is_full else "refused", f"{name} takes no connection: {error.strerror}"
            ) from error
        finally:
            os.close(folder)
        return stream

    def _watch(self, name: str) -> None:
        """Who connected while the process ended, before anybody knew, is not left waiting."""
        if self._is_ending:
            return
        for listener in self._listeners[name]:
            asyncio.get_running_loop().add_reader(listener, self._wake, name)

    def _wake(self, name: str) -> None:
        self._unwatch(name)
        waking = asyncio.create_task(self._start_for_waiting(name), name=f"wake {name}")
        self._waking.add(waking)
        waking.add_done_callback(self._waking.discard)

    def _unwatch(self, name: str) -> None:
        for listener in self._listeners[name]:
            asyncio.get_running_loop().remove_reader(listener)

    async def _start_for_waiting(self, name: str) -> None:
        try:
            await self.start(name)
        except Refusal as refusal:
            _logger.warning("%s", refusal.message)
            for listener in self._listeners[name]:
                turn_away(listener)

    def _spawn(self, name: str, ready: int) -> Child:
        listeners = [one.fileno() for one in self._list_listeners(name)]
        self._unwatch(name)
        words = ",".join(map(str, listeners))
        argv = make_bundle_command(
            "main", name, words, str(ready), str(self._run_dir), str(self._work_dir)
        )
        return self._programs.spawn(name, argv, self._environ, pass_fds=(*listeners, ready))

    def _list_listeners(self, name: str) -> list[socket.socket]:
        """They outlive the process; who waits in their queues meets the next one."""
        if name not in self._listeners:
            folder = self._run_dir / APPS_NAME
            folder.mkdir(mode=0o700, exist_ok=True)
            self._listeners[name] = [listen_at(folder, f"{name}.sock")]
        return self._listeners[name]

    async def _await_ready(self, name: str, child: Child, reading: int) -> None:
        """The process writes a byte when it serves; its end closes the pipe without one."""
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                is_ready = await _read_byte(reading)
        except TimeoutError:
            await self._programs.stop(name)
            raise Refusal(
                "not-started", f"{name} did not come up within {READY_SECONDS_MAX:g} s"
            ) from None
        finally:
            os.close(reading)
        if not is_ready:
            await asyncio.wait([child.ended], timeout=1.0)
            raise Refusal("not-started", self._programs.explain_end(name))


def turn_away(listener: socket.socket) -> None:
    """Hang up on all who wait in its queue."""
    with suppress(OSError):
        while True:
            listener.accept()[0].close()


async def _read_byte(descriptor: int) -> bool:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
        return os.read(descriptor, 1) != b""
    finally:
        loop.remove_reader(descriptor)
