"""Batch runs: clean, build and exec, each a shell command whose output streams into the run."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from backendai.kernel.runner.console import ConsoleLog, Funnel, make_pipe
from backendai.kernel.runner.environment import make_shell_command
from backendai.kernel.runner.processes import Child, Processes
from backendai.kernel.runner.runs import Run
from backendai.kernel.wire import BatchOptions

DEFAULT_COMMAND = "*"
CANNOT_EXECUTE = 126
NOT_FOUND = 127
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")


class Stages:
    """Runs shell commands in the work directory, one stage of one run at a time."""

    def __init__(
        self, processes: Processes, log: ConsoleLog, environ: Mapping[str, str], work_dir: Path
    ) -> None:
        self._processes = processes
        self._log = log
        self._environ = environ
        self._work_dir = work_dir
        self._child: Child | None = None
        self._funnel: Funnel | None = None

    async def execute(self, run: Run) -> None:
        """All stages that are asked for; after a failed build, exec is not run and the run ends
        with 127.
        """
        options = run.batch or BatchOptions()
        if options.clean:
            run.mark("clean-finished", await self._run_stage(run, "clean", options.clean))
        if options.build:
            build_code = await self._run_stage(run, "build", options.build)
            run.mark("build-finished", build_code)
            if build_code != 0:
                run.mark("finished", NOT_FOUND)
                return
        exit_code = await self._run_stage(run, "exec", options.exec) if options.exec else 0
        run.mark("finished", exit_code)

    async def run_command(self, command: str, run: Run | None) -> int:
        """The exit code of a shell command; its output goes to the log and to `run` when there is
        one.
        """
        funnel = self._funnel = Funnel(self._log)
        funnel.bind(run)
        try:
            child = self._spawn(make_shell_command(command), funnel)
        except OSError as error:
            funnel.feed("stderr", f"The command cannot be started: {error}\n".encode())
            return CANNOT_EXECUTE
        self._child = child
        try:
            await asyncio.wait([child.ended])
            await funnel.open.wait()
            funnel.drain()
            return child.ended.result()
        finally:
            self._child = None
            # What it left running in the background goes on, and prints to the log alone.
            funnel.bind(None)

    def interrupt(self) -> bool:
        return self._signal(signal.SIGINT)

    def drain(self) -> None:
        if self._funnel is not None:
            self._funnel.drain()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> bool:
        if self._child is None:
            return False
        self._child.signal_group(number)
        return True

    async def _run_stage(self, run: Run, stage: str, command: str) -> int:
        if command == DEFAULT_COMMAND:
            default = find_default_command(stage, self._work_dir)
            if default is None:
                run.write_text("stdout", f"{stage}: nothing to do by default\n")
                return 0
            run.write_text("stdout", f"{stage}: {default}\n")
            command = default
        return await self.run_command(command, run)

    def _spawn(self, argv: list[str], funnel: Funnel) -> Child:
        out, out_end = make_pipe()
        err, err_end = make_pipe()
        try:
            child = self._processes.spawn(
                argv,
                environ=self._environ,
                work_dir=self._work_dir,
                stdout=out_end,
                stderr=err_end,
            )
        except OSError:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        funnel.tap(out, "stdout")
        funnel.tap(err, "stderr")
        return child


def find_default_command(stage: str, work_dir: Path) -> str | None:
    """What `*` means: make and make clean where there is a makefile, then ./main or main.py."""
    has_makefile = any((work_dir / name).is_file() for name in MAKEFILES)
    if stage == "clean":
        return "make clean" if has_makefile else None
    if stage == "build":
        return "make" if has_makefile else None
    if os.access(work_dir / "main", os.X_OK) and (work_dir / "main").is_file():
        return "./main"
    return "python3 main.py" if (work_dir / "main.py").is_file() else None
