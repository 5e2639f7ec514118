"""The runner's start and end: reads its setup, listens, bootstraps, and for a batch session ends
with its command.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from backendai.kernel.runner.apps import Apps
from backendai.kernel.runner.console import ConsoleLog
from backendai.kernel.runner.doors import Doors
from backendai.kernel.runner.environment import make_environ
from backendai.kernel.runner.folders import check_folders
from backendai.kernel.runner.interpreter import Interpreter, NoInterpreterError
from backendai.kernel.runner.keys import SessionKey
from backendai.kernel.runner.processes import Processes
from backendai.kernel.runner.programs import Programs
from backendai.kernel.runner.server import Server
from backendai.kernel.runner.service import Service
from backendai.kernel.runner.stages import Stages
from backendai.kernel.runner.startup import Startup, record_exit
from backendai.kernel.wire import LOG_PATH, SETUP_NAME, KernelSetup

RUN_DIR = "/run/backendai"
USAGE = "usage: runner [--run-dir PATH] [--work-dir PATH]"
BAD_USAGE = 2

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    run_dir: Path
    work_dir: Path | None


@dataclass(frozen=True)
class Ending:
    """Why the runner ends, and the exit code it ends with."""

    reason: Literal["finished", "terminated", "shutdown"]
    exit_code: int


class Runner:
    """Constructs the parts and holds them together for the life of the kernel."""

    def __init__(self, setup: KernelSetup, run_dir: Path, work_dir: Path) -> None:
        self._setup = setup
        self._run_dir = run_dir
        environ = make_environ(os.environ, setup, work_dir)
        log = ConsoleLog(run_dir / LOG_PATH)
        self._processes = Processes()
        self._stages = Stages(self._processes, log, environ, work_dir)
        self._startup = Startup(setup, run_dir, work_dir, log, self._stages)
        self._interpreter = Interpreter(self._processes, log, environ, work_dir, setup.runtime_path)
        self._batch_stages = Stages(self._processes, log, environ, work_dir)
        programs = Programs(self._processes, run_dir, work_dir)
        self._key = SessionKey(programs, environ, work_dir, setup.cluster_key)
        self._apps = Apps(setup, programs, environ, run_dir, work_dir)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._service = Service(
            self._interpreter,
            self._batch_stages,
            self._startup,
            self._apps,
            self._key,
            work_dir,
            setup.exec_timeout_seconds,
            on_shutdown=lambda: self._end(Ending("shutdown", 0)),
        )

    async def run(self) -> int:
        """Serve until the end; the exit code of the runner."""
        self._processes.start()
        self._heed_signals()
        doors = Doors(self._apps.connect, self._run_dir)
        doors.listen()
        server = Server(self._service, self._run_dir)
        await server.listen()
        live = asyncio.create_task(self._live(), name="live")
        live.add_done_callback(self._note_failure)
        ending = await self._ending
        self._service.phase = "ending"
        live.cancel()
        self._apps.refuse_starts()
        doors.close()
        await self._processes.end(self._setup.grace_seconds)
        for source in (self._stages, self._batch_stages, self._interpreter):
            source.drain()
        record_exit(self._run_dir, ending.exit_code, ending.reason)
        await server.close()
        return ending.exit_code

    async def _live(self) -> None:
        if self._setup.cluster_key:
            await self._key.ensure()
            self._apps.admit_siblings()
        await self._startup.bootstrap()
        self._service.phase = "serving"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._service.drive_runs(), name="runs")
            tasks.create_task(self._warm_up(), name="warm-up")
            tasks.create_task(self._key.ensure_later(), name="key")
            if self._setup.session_type == "batch":
                exit_code = await self._startup.run_startup_command()
                self._end(Ending("finished", exit_code))

    async def _warm_up(self) -> None:
        """Start the REPL before it is asked for; a batch session may never ask."""
        if self._setup.session_type == "batch":
            return
        try:
            await self._interpreter.start()
        except (NoInterpreterError, OSError) as error:
            _logger.warning("no Python for query mode: %s", error)

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, Ending("terminated", 128 + number))

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        # Half dead is worse than dead: when a part of it fails the runner ends, and says so.
        if not task.cancelled() and task.exception() is not None and not self._ending.done():
            error = task.exception()
            assert error is not None
            self._ending.set_exception(error)


def main(argv: Sequence[str]) -> int:
    """Run with `--run-dir` and `--work-dir`, else with the container's places; the exit code."""
    logging.basicConfig(level=logging.INFO, format="runner: %(message)s")
    try:
        places = parse_arguments(argv)
        setup = load_setup(places.run_dir / SETUP_NAME)
        drop_root(setup)
        check_folders(setup.folders)
    except (ValueError, OSError) as error:
        _logger.error("%s", error)
        return BAD_USAGE
    work_dir = places.work_dir or Path(setup.work_dir)
    os.umask(0o022)

    async def live() -> int:
        return await Runner(setup, places.run_dir, work_dir).run()

    return asyncio.run(live())


def parse_arguments(argv: Sequence[str]) -> Places:
    """By hand: argparse alone would cost a tenth of the start. Raises ValueError."""
    given: dict[str, str] = {}
    rest = list(argv)
    while rest:
        name, _, value = rest.pop(0).partition("=")
        if name not in ("--run-dir", "--work-dir"):
            raise ValueError(f"unknown argument {name!r}; {USAGE}")
        if not value and not rest:
            raise ValueError(f"{name} needs a path; {USAGE}")
        given[name] = value or rest.pop(0)
    work_dir = given.get("--work-dir")
    return Places(Path(given.get("--run-dir", RUN_DIR)), Path(work_dir) if work_dir else None)


def load_setup(path: Path) -> KernelSetup:
    """Raises ValueError naming the file and what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KernelSetup)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the agent writes it before the start") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from error


def drop_root(setup: KernelSetup) -> None:
    """Take on the kernel's user when started as root with one."""
    if os.getuid() == 0 and setup.uid:
        gid = setup.gid if setup.gid is not None else setup.uid
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(setup.uid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
