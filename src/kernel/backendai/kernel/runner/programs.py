"""The processes of apps: one per app, with a log of what each printed."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from backendai.kernel.runner.console import ConsoleLog, Funnel, make_pipe
from backendai.kernel.runner.processes import Child, Processes

LOG_FOLDER: Final = "log"
LOG_BYTES_MAX: Final = 1024 * 1024
LAST_BYTES: Final = 1500
STOP_SECONDS: Final = 5.0
COMMAND_SECONDS_MAX: Final = 20.0
COMMAND_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True)
class Program:
    child: Child
    funnel: Funnel
    log_path: Path


class Programs:
    """Starts, ends and remembers them. Whoever changes one of an app holds its `lock`."""

    def __init__(self, processes: Processes, run_dir: Path, work_dir: Path) -> None:
        self._processes = processes
        self._run_dir = run_dir
        self._work_dir = work_dir
        self._programs: dict[str, Program] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def find_live(self, name: str) -> Child | None:
        program = self._programs.get(name)
        return program.child if program and not program.child.ended.done() else None

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        environ: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """In place of one that has ended; raises OSError."""
        log_path = self._run_dir / LOG_FOLDER / f"{name}.log"
        funnel = Funnel(ConsoleLog(log_path, LOG_BYTES_MAX))
        out, out_end = make_pipe()
        try:
            child = self._processes.spawn(
                argv,
                environ=environ,
                work_dir=self._work_dir,
                stdout=out_end,
                stderr=out_end,
                pass_fds=pass_fds,
            )
        except OSError:
            os.close(out)
            raise
        finally:
            os.close(out_end)
        funnel.tap(out, "stdout")
        self._programs[name] = Program(child, funnel, log_path)
        return child

    async def stop(self, name: str) -> bool:
        """End it and what it started; False when it did not run."""
        child = self.find_live(name)
        if child is None:
            return False
        child.signal_group(signal.SIGTERM)
        child.signal_group(signal.SIGCONT)
        await asyncio.wait([child.ended], timeout=STOP_SECONDS)
        child.signal_group(signal.SIGKILL)
        await asyncio.wait([child.ended], timeout=STOP_SECONDS)
        return True

    def explain_end(self, name: str) -> str:
        """How the last program of the app ended, and what it said last."""
        program = self._programs[name]
        program.funnel.drain()
        code = program.child.ended.result() if program.child.ended.done() else 0
        how = f"was killed by signal {code - 128}" if code > 128 else f"ended with exit code {code}"
        words = read_end(program.log_path)
        return f"{name} {how}; it said last:\n{words}" if words else f"{name} {how} without a word"

    async def run(self, argv: Sequence[str], environ: Mapping[str, str]) -> str:
        """What a short command prints; raises OSError, and ValueError when it fails."""
        with open_unnamed(self._run_dir) as output:
            child = self._processes.spawn(
                argv,
                environ=environ,
                work_dir=self._work_dir,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )
            await asyncio.wait([child.ended], timeout=COMMAND_SECONDS_MAX)
            child.signal_group(signal.SIGKILL)
            await asyncio.wait([child.ended], timeout=STOP_SECONDS)
            output.seek(0)
            text = output.read(COMMAND_BYTES_MAX).decode("utf-8", "replace").strip()
        code = child.ended.result() if child.ended.done() else -1
        if code != 0:
            raise ValueError(f"{argv[0]} ended with exit code {code}: {text[-LAST_BYTES:]}")
        return text


def open_unnamed(folder: Path) -> BinaryIO:
    """A file that goes when it is closed. By hand: `tempfile` would cost a part of the start."""
    file = (folder / f".{os.urandom(6).hex()}").open("xb+")
    Path(file.name).unlink()
    return file


def read_end(path: Path) -> str:
    """The last lines of a log, as text; empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LAST_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
