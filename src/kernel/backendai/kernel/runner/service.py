"""What each request means: one method per operation, over the runs, the interpreter, the stages and
the files.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from backendai.kernel import wire
from backendai.kernel.runner.apps import Apps
from backendai.kernel.runner.files import Downloads, Uploads, list_files
from backendai.kernel.runner.interpreter import Interpreter
from backendai.kernel.runner.keys import SessionKey
from backendai.kernel.runner.runs import Refusal, Run, RunBook
from backendai.kernel.runner.stages import Stages
from backendai.kernel.runner.startup import Startup

FLUSH_SECONDS_MAX = 60.0
INTERRUPT_SECONDS_MAX = 3.0
TIMED_OUT = 124

Phase = Literal["booting", "serving", "ending"]

_logger = logging.getLogger(__name__)


class Service:
    """Answers requests; holds all state of the kernel, so that connections may come and go."""

    def __init__(
        self,
        interpreter: Interpreter,
        stages: Stages,
        startup: Startup,
        apps: Apps,
        key: SessionKey,
        work_dir: Path,
        exec_timeout_seconds: float,
        on_shutdown: Callable[[], None],
    ) -> None:
        self._interpreter = interpreter
        self._stages = stages
        self._startup = startup
        self._apps = apps
        self._key = key
        self._work_dir = work_dir
        self._exec_timeout_seconds = exec_timeout_seconds
        self._on_shutdown = on_shutdown
        self._runs = RunBook()
        self._active: Run | None = None
        self._uploads = Uploads(work_dir)
        self._downloads = Downloads(work_dir)
        self._files = asyncio.Lock()
        self._started_at = time.time()
        self.phase: Phase = "booting"

    async def answer(self, ask: wire.Ask) -> wire.Answer:
        """The answer, which is a Failure for whatever cannot be done; never raises but for
        cancellation.
        """
        try:
            return await self._answer(ask)
        except Refusal as refusal:
            return wire.Failure(refusal.code, refusal.message)
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else ""
            return wire.Failure("io-error", f"{error.strerror or error} {name}".strip())
        except Exception as error:
            _logger.exception("request failed")
            return wire.Failure("internal", f"the runner failed: {type(error).__name__}")

    async def drive_runs(self) -> None:
        """Execute the queued runs, one after another, for ever."""
        while True:
            run = await self._runs.queue.get()
            self._active = run
            try:
                await self._drive(run)
            finally:
                self._active = None

    async def _answer(self, ask: wire.Ask) -> wire.Answer:
        match ask:
            case wire.Hello():
                return self._greet()
            case wire.Status():
                return self._report()
            case wire.Execute():
                return await self._execute(ask)
            case wire.Interrupt():
                return wire.InterruptReply(self._interrupt())
            case wire.Complete():
                text = find_text_to_complete(ask)
                return wire.CompleteReply(await self._interpreter.complete(text))
            case wire.StartApp():
                return await self._apps.start(ask)
            case wire.StopApp():
                return await self._apps.stop(ask.name)
            case wire.ListApps():
                return wire.ListAppsReply(self._apps.list_entries())
            case wire.Shutdown():
                self._on_shutdown()
                return wire.ShutdownReply()
            case wire.Upload() | wire.Download() | wire.ListFiles():
                if self._key.is_at(ask.path):
                    await self._key.ensure()
                async with self._files:
                    return await asyncio.to_thread(self._handle_files, ask)

    def _handle_files(self, ask: wire.Upload | wire.Download | wire.ListFiles) -> wire.Answer:
        match ask:
            case wire.Upload():
                return self._uploads.receive(ask)
            case wire.Download():
                return self._downloads.send(ask.path, ask.offset)
            case wire.ListFiles():
                return list_files(self._work_dir, ask.path)

    def _greet(self) -> wire.HelloReply:
        return wire.HelloReply(
            version=wire.PROTOCOL_VERSION,
            pid=os.getpid(),
            python=self._interpreter.python,
            query_ready=self._interpreter.is_ready,
            started_at=self._started_at,
            bootstrap_exit_code=self._startup.bootstrap_exit_code,
            reason=self._startup.reason,
            apps=self._apps.list_entries(),
        )

    def _report(self) -> wire.StatusReply:
        return wire.StatusReply(
            phase=self.phase,
            query_ready=self._interpreter.is_ready,
            active_run=self._active.run_id if self._active else None,
            queued_runs=self._runs.queue.qsize(),
            bootstrap_exit_code=self._startup.bootstrap_exit_code,
            reason=self._startup.reason,
        )

    async def _execute(self, ask: wire.Execute) -> wire.ExecuteReply:
        if not ask.run_id:
            raise Refusal("bad-request", "run_id must not be empty")
        if ask.mode in ("query", "batch"):
            run = self._runs.find(ask.run_id) or self._begin(ask)
        else:
            run = self._runs.get(ask.run_id)
            if ask.mode == "input":
                run.answer(ask.code)
        flush_seconds = min(max(ask.flush_seconds, 0.0), FLUSH_SECONDS_MAX)
        return await run.next_reply(flush_seconds, ask.after)

    def _begin(self, ask: wire.Execute) -> Run:
        batch = (ask.options or wire.BatchOptions()) if ask.mode == "batch" else None
        run = Run(ask.run_id, ask.code, batch)
        self._runs.begin(run)
        return run

    def _interrupt(self) -> bool:
        return self._interpreter.interrupt() or self._stages.interrupt()

    async def _drive(self, run: Run) -> None:
        executor = self._stages if run.batch else self._interpreter
        if not self._exec_timeout_seconds:
            await executor.execute(run)
            return
        watch = asyncio.create_task(self._cut_short(run), name=f"timeout {run.run_id}")
        try:
            await executor.execute(run)
        finally:
            watch.cancel()

    async def _cut_short(self, run: Run) -> None:
        """A run over its time says so, is interrupted and, when that does not end it, killed."""
        await asyncio.sleep(self._exec_timeout_seconds)
        limit = f"{self._exec_timeout_seconds:g} seconds"
        run.write_text("stderr", f"\nThe run was ended: it took longer than {limit}.\n")
        run.mark("exec-timeout", TIMED_OUT)
        self._interrupt()
        await asyncio.sleep(INTERRUPT_SECONDS_MAX)
        self._interpreter.kill()
        self._stages.kill()


def find_text_to_complete(ask: wire.Complete) -> str:
    """The text before the cursor, of the line when it is given, else of that row of the code."""
    if ask.line:
        return ask.line[: ask.col] if ask.col else ask.line
    lines = ask.code.split("\n")
    if not 0 <= ask.row < len(lines):
        return ask.code
    line = lines[ask.row]
    return line[: ask.col] if ask.col else line
