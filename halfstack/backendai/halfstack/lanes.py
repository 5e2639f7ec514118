"""Programs beside each other, as many at a time as there are lanes.

What each prints is kept and shown whole when it ends, so that two never mix.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

# An interrupted test takes its stack apart: containers, networks, mounts.
_END_SECONDS = 120.0
# A tenth of the share of an ordinary one: little, yet not nothing on a machine that is full.
_LESS_URGENT = 10
# Killed ourselves, we end nothing: the kernel then does. A shell that starts us in its background
# has us ignore interrupts, and so would the program.
_WRAPPER = ("setpriv", "--pdeathsig", "INT", "env", "--default-signal=INT")


@dataclass(frozen=True)
class Program:
    """What to run. One that is patient makes do with the processor time that others leave."""

    title: str
    argv: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    is_patient: bool = False


@dataclass(frozen=True)
class Ended:
    code: int
    seconds: float


class Lanes:
    """Runs at most `count` programs at a time, and patient ones beside them.

    With one lane there is no beside: each program has the terminal to itself.
    """

    def __init__(self, count: int) -> None:
        self._is_single = count == 1
        self._free = asyncio.Semaphore(count)

    async def run(self, program: Program) -> Ended:
        """Cancelled, the program is interrupted and has time to tidy up behind itself."""
        if self._is_single:
            async with self._free:
                return await _run_alone(program)
        async with nullcontext() if program.is_patient else self._free:
            return await _run_aside(program)


async def _run_alone(program: Program) -> Ended:
    print(f"── {program.title}", flush=True)
    started = time.monotonic()
    code = await _run(program, None)
    return Ended(code, time.monotonic() - started)


async def _run_aside(program: Program) -> Ended:
    print(f"── {program.title} begins", flush=True)
    started = time.monotonic()
    with TemporaryFile() as printed:
        try:
            code = await _run(program, printed)
        finally:
            seconds = time.monotonic() - started
            print(f"── {program.title} ended after {seconds:.0f} s, having printed:", flush=True)
            printed.seek(0)
            shutil.copyfileobj(printed, sys.stdout.buffer)
            sys.stdout.flush()
    return Ended(code, seconds)


async def _run(program: Program, printed: IO[bytes] | None) -> int:
    process = await asyncio.create_subprocess_exec(
        *_WRAPPER,
        *program.argv,
        cwd=program.folder,
        env=program.environ,
        stdin=None if printed is None else asyncio.subprocess.DEVNULL,
        stdout=printed,
        stderr=None if printed is None else asyncio.subprocess.STDOUT,
        # The terminal's Ctrl-C is for us: we pass it on once.
        start_new_session=printed is not None,
    )
    try:
        if program.is_patient and printed is not None:
            _put_back(process.pid)
        return await process.wait()
    finally:
        await _end(process, is_leader=printed is not None)


def _put_back(pid: int) -> None:
    """Behind the others; where Linux groups processes by session, the group counts."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _LESS_URGENT)
        Path(f"/proc/{pid}/autogroup").write_text(str(_LESS_URGENT))


async def _end(process: asyncio.subprocess.Process, *, is_leader: bool) -> None:
    """Soon after an interruption. One that leads no session has had that of the terminal."""
    if process.returncode is not None:
        return
    if is_leader:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            if is_leader:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()
