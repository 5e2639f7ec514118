"""Shells and commands of SSH clients: their bytes are pumped here, one direction at a time, so that
all that a program printed has gone out before its exit status does.
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh

from backendai.kernel.apps.main import Situation
from backendai.kernel.apps.shells import (
    Size,
    find_shell,
    make_shell_environ,
    resize,
    spawn_on_terminal,
)

GULP_BYTES: Final = 64 * 1024
# After a shell's end: what it left running may hold its terminal, and is not waited for.
LAST_WORDS_SECONDS: Final = 0.1
CANNOT_EXECUTE: Final = 126
END_OF_INPUT: Final = b"\x04"
FOLLOWED: Final = ("LANG", "LC_", "COLORTERM")

_logger = logging.getLogger(__name__)

Channel = asyncssh.SSHServerProcess[bytes]


class Conversations:
    """One per channel; what a client leaves running goes on, and is reaped here."""

    def __init__(self, situation: Situation) -> None:
        self._environ = situation.environ
        self._work_dir = situation.work_dir
        self._left: set[asyncio.Task[int]] = set()

    async def hold(self, channel: Channel) -> None:
        """From the start of a program to its exit status, or to the client's leaving."""
        try:
            program = await self._start(channel)
        except OSError as error:
            channel.stderr.write(f"{error}\n".encode())
            channel.exit(CANNOT_EXECUTE)
            return
        waiting = asyncio.create_task(program.process.wait(), name="ssh process")
        self._left.add(waiting)
        waiting.add_done_callback(self._left.discard)
        talking = asyncio.create_task(talk(channel, program, waiting), name="ssh conversation")
        leaving = asyncio.create_task(channel.wait_closed(), name="ssh channel")
        try:
            await asyncio.wait((talking, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_ended = talking.done()
            for task in (talking, leaving):
                task.cancel()
            await asyncio.wait((talking, leaving))
        if has_ended:
            tell_end(channel, talking.result())

    async def _start(self, channel: Channel) -> "Program":
        shell = find_shell(self._environ)
        command = ["-c", channel.command] if channel.command else []
        spoken = {k: text for k, text in channel.env.items() if k.startswith(FOLLOWED)}
        term = channel.get_terminal_type()
        if not term:
            environ = {**self._environ, "SHELL": shell[0], **spoken}
            return await start_on_pipes([*shell, *command], environ, self._work_dir)
        columns, rows, _, _ = channel.get_terminal_size()
        process, master = await spawn_on_terminal(
            [*shell, *(command or ["-i"])],
            {**make_shell_environ(self._environ, shell, term), **spoken},
            self._work_dir,
            Size.within_bounds(rows, columns),
        )
        return Program(process, master, (master,), is_on_terminal=True)


@dataclass(frozen=True)
class Program:
    """A started program: where it is typed to, and where its output and errors come from."""

    process: Process
    stdin: int
    outputs: tuple[int, ...]
    is_on_terminal: bool = False

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


async def start_on_pipes(
    argv: Sequence[str], environ: Mapping[str, str], work_dir: Path
) -> Program:
    """Raises OSError."""
    pairs = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    theirs = (pairs[0][0], pairs[1][1], pairs[2][1])
    ours = (pairs[0][1], pairs[1][0], pairs[2][0])
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=theirs[0],
            stdout=theirs[1],
            stderr=theirs[2],
            env=environ,
            cwd=work_dir,
            start_new_session=True,
        )
    except OSError:
        for descriptor in ours:
            os.close(descriptor)
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    for descriptor in ours:
        os.set_blocking(descriptor, False)
    return Program(process, ours[0], ours[1:])


async def talk(channel: Channel, program: Program, waiting: "asyncio.Task[int]") -> int:
    """The exit code, when all output has gone out. Owns the descriptors of the program."""
    listening = asyncio.create_task(_listen(channel, program), name="ssh input")
    sinks = (channel.stdout, channel.stderr)
    pumps = [
        asyncio.create_task(_pump(source, sink, program, waiting), name="ssh output")
        for source, sink in zip(program.outputs, sinks, strict=False)
    ]
    try:
        await asyncio.gather(*pumps)
        return await asyncio.shield(waiting)
    finally:
        for task in (listening, *pumps):
            task.cancel()
        await asyncio.wait((listening, *pumps))
        for source in program.outputs:
            os.close(source)


async def _pump(
    source: int, sink: "asyncssh.SSHWriter[bytes]", program: Program, waiting: "asyncio.Task[int]"
) -> None:
    """To the end of the output; on a terminal, to the end of the program, as others may hold it."""
    while True:
        reading = asyncio.create_task(read_some(source), name="ssh read")
        try:
            if program.is_on_terminal:
                await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait((reading,), timeout=LAST_WORDS_SECONDS)
                if not reading.done():
                    return
            data = await reading
        finally:
            reading.cancel()
        if not data:
            return
        try:
            sink.write(data)
            await sink.drain()
        except (asyncssh.Error, OSError) as error:
            _logger.debug("the client is gone: %s", error)
            return


async def _listen(channel: Channel, program: Program) -> None:
    """What the client types or asks for, to the end of it. Owns the input of a pipe."""
    try:
        while (data := await _hear(channel, program)) is not None:
            await write_all(program.stdin, data)
        if program.is_on_terminal:
            await write_all(program.stdin, END_OF_INPUT)
    except OSError as error:
        _logger.debug("the program does not read any more: %s", error)
    finally:
        if not program.is_on_terminal:
            os.close(program.stdin)


async def _hear(channel: Channel, program: Program) -> bytes | None:
    """The next bytes; None at the end. Everything else that a client sends is heeded here."""
    while True:
        try:
            return await channel.stdin.read(GULP_BYTES) or None
        except asyncssh.TerminalSizeChanged as change:
            if program.is_on_terminal:
                resize(program.stdin, Size.within_bounds(change.height, change.width))
        except asyncssh.BreakReceived:
            program.signal(signal.SIGINT)
        except asyncssh.SignalReceived as received:
            number = getattr(signal, f"SIG{received.signal}", None)
            if isinstance(number, signal.Signals):
                program.signal(number)
        except asyncssh.Error:
            return None


def tell_end(channel: Channel, code: int) -> None:
    if code >= 0:
        channel.exit(code)
    else:
        channel.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))


async def read_some(descriptor: int) -> bytes:
    """Of one that does not block; empty at the end."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    while True:
        try:
            return os.read(descriptor, GULP_BYTES)
        except BlockingIOError:
            loop.add_reader(descriptor, readable.set)
        except OSError:
            # That is how a terminal says that nobody has it open any more.
            return b""
        try:
            await readable.wait()
            readable.clear()
        finally:
            loop.remove_reader(descriptor)


async def write_all(descriptor: int, data: bytes) -> None:
    """To one that does not block; raises OSError."""
    loop, writable = asyncio.get_running_loop(), asyncio.Event()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
            continue
        except BlockingIOError:
            loop.add_writer(descriptor, writable.set)
        try:
            await writable.wait()
            writable.clear()
        finally:
            loop.remove_writer(descriptor)
