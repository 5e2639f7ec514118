"""The user's Python: one child process that keeps its state between runs, started early and again
when it ends.

The image's own interpreter is preferred; one that does not come up (too old, broken) is passed over
for the next, and the bundle's is the last.
"""

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backendai.kernel.runner.console import GULP_BYTES, ConsoleLog, Funnel, make_pipe
from backendai.kernel.runner.environment import get_bundle_interpreter, list_interpreters
from backendai.kernel.runner.processes import Child, Processes
from backendai.kernel.runner.runs import Run

REPL_SCRIPT = Path(__file__).with_name("repl.py")
START_SECONDS_MAX = 30.0
COMPLETE_SECONDS_MAX = 2.0
LEAVE_SECONDS_MAX = 1.0
LAST_WORDS_SECONDS = 0.2
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
NO_INTERPRETER = 127
KILLED = 137
CRASH_NOTICE = (
    "\nThe Python process ended ({why}). Its state (variables, imports) is lost; "
    "a fresh one takes its place.\n"
)
_logger = logging.getLogger(__name__)


class NoInterpreterError(Exception):
    """No Python came up; the message says which were tried."""


class Repl:
    """One child process: its pipes, its socket, and the run that it works on."""

    def __init__(self, child: Child, funnel: Funnel, writer: asyncio.StreamWriter) -> None:
        self.child = child
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self._funnel = funnel
        self._writer = writer
        self.is_loss_told = False
        self._done: asyncio.Future[int | None] | None = None
        self._has_started = False
        self._is_interrupt_due = False
        self._numbers = itertools.count(1)
        self._completions: dict[int, asyncio.Future[list[str]]] = {}
        child.ended.add_done_callback(lambda _: self._hang_up_soon())

    @property
    def is_busy(self) -> bool:
        return self._done is not None

    @property
    def is_ready(self) -> bool:
        return self.ready.done() and self.ready.result() and not self.gone.is_set()

    @property
    def exit_code(self) -> int:
        """Of the process that is gone."""
        return self.child.ended.result() if self.child.ended.done() else KILLED

    def explain_end(self) -> str:
        code = self.exit_code
        return f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Handle what the child says until it is gone; then end all that is left of it."""
        try:
            while True:
                message = await read_message(reader)
                await self._funnel.open.wait()
                self._funnel.drain()
                self._handle(message)
        except (EOFError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            # Its socket closed, or user code wrote nonsense to it: either way it is of no more use.
            _logger.debug("the REPL is gone: %r", error)
        finally:
            await self._bury()

    async def execute(self, run: Run) -> int | None:
        """The exit code of the snippet, or None when the process ended under it."""
        self._done = asyncio.get_running_loop().create_future()
        self._has_started = self._is_interrupt_due = False
        self._funnel.bind(run)
        self._send({"op": "run", "code": run.code})
        try:
            return await self._done
        finally:
            self._done = None
            self._funnel.bind(None)

    def drain(self) -> None:
        self._funnel.drain()

    def interrupt(self) -> bool:
        """SIGINT to the process group, as a terminal would; False when nothing runs."""
        if not self.is_busy:
            return False
        if self._funnel.run is not None:
            self._funnel.run.withdraw_question()
        self._funnel.hurry()
        if self._has_started:
            self.child.signal_group(signal.SIGINT)
        else:
            self._is_interrupt_due = True
        return True

    async def complete(self, text: str) -> list[str]:
        """Nothing while a run is on, or when the user's objects take too long to answer."""
        if self.is_busy or not self.is_ready:
            return []
        number = next(self._numbers)
        future = self._completions[number] = asyncio.get_running_loop().create_future()
        self._send({"op": "complete", "id": number, "text": text})
        try:
            async with asyncio.timeout(COMPLETE_SECONDS_MAX):
                matches: list[str] = await future
                return matches
        except TimeoutError:
            return []
        finally:
            self._completions.pop(number, None)

    def _handle(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "ready":
                self.ready.set_result(True)
            case "started":
                self._note_start()
            case "done":
                self._finish(int(message["exit_code"]) & 0xFF)
            case "completions":
                self._offer(message)
            case "sync":
                self._send({"seq": message["seq"]})
            case "show":
                self._show(message)
            case "input":
                self._ask(message)
            case unknown:
                raise ValueError(f"the REPL sent an unknown message: {unknown!r}")

    def _note_start(self) -> None:
        """An interrupt that came before the snippet began would have been lost on the child."""
        self._has_started = True
        if self._is_interrupt_due:
            self.child.signal_group(signal.SIGINT)

    def _show(self, message: dict[str, Any]) -> None:
        if self._funnel.run is not None:
            content = message["content"]
            if isinstance(content, str):
                self._funnel.run.show("html", content)
            else:
                mime, data = content
                self._funnel.run.show("media", (str(mime), str(data)))
            self._funnel.heed_room()
        if "seq" in message:
            self._send({"seq": message["seq"]})

    def _ask(self, message: dict[str, Any]) -> None:
        if self._funnel.run is None:
            raise ValueError("the REPL asked for input outside of a run")
        sequence = int(message["seq"])
        self._funnel.run.ask(
            is_password=bool(message["is_password"]),
            on_answer=lambda text: self._send({"seq": sequence, "text": text}),
        )

    def _offer(self, message: dict[str, Any]) -> None:
        future = self._completions.get(message["id"])
        if future is not None and not future.done():
            future.set_result([str(match) for match in message["matches"]])

    def _finish(self, exit_code: int | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(exit_code)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode("ascii")
        self._writer.write(len(data).to_bytes(4, "big") + data)

    def _hang_up_soon(self) -> None:
        # What it said last is still read; a forked child that holds the socket open is not waited
        # for.
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self._writer.transport.abort)

    async def _bury(self) -> None:
        await asyncio.wait([self.child.ended], timeout=LEAVE_SECONDS_MAX)
        self.child.signal_group(signal.SIGKILL)
        await asyncio.wait([self.child.ended], timeout=LEAVE_SECONDS_MAX)
        self._funnel.drain()
        self._funnel.close()
        self._writer.close()
        if not self.ready.done():
            self.ready.set_result(False)
        self.gone.set()
        self._finish(None)


class Interpreter:
    """Keeps a REPL alive and hands runs to it, one at a time."""

    def __init__(
        self,
        processes: Processes,
        log: ConsoleLog,
        environ: Mapping[str, str],
        work_dir: Path,
        runtime_path: str,
    ) -> None:
        self._processes = processes
        self._log = log
        self._environ = environ
        self._work_dir = work_dir
        bundle = get_bundle_interpreter()
        own = list_interpreters(runtime_path, environ["PATH"])
        self._candidates = [path for path in own if path != bundle] + [bundle]
        self._is_proven = False
        self._repl: Repl | None = None
        self._serving: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def python(self) -> str:
        """The path of the interpreter in use; empty when it is the bundle's."""
        path = self._candidates[0]
        return "" if path == get_bundle_interpreter() else path

    @property
    def is_ready(self) -> bool:
        return self._repl is not None and self._repl.is_ready

    async def start(self) -> Repl:
        """The live REPL, a new one when there is none; raises NoInterpreterError."""
        async with self._starting:
            while self._repl is None or self._repl.gone.is_set():
                repl = await self._spawn(self._candidates[0])
                if repl is not None:
                    self._repl = repl
                    self._is_proven = True
                elif len(self._candidates) > 1 and not self._is_proven:
                    del self._candidates[0]
                else:
                    raise NoInterpreterError(f"{self._candidates[0]} does not start")
            return self._repl

    async def execute(self, run: Run) -> None:
        """Run a snippet to its end, whatever end that is, and mark the run."""
        before = self._repl
        try:
            repl = await self.start()
        except (NoInterpreterError, OSError) as error:
            run.write_text("stderr", f"No Python can be started: {error}\n")
            run.mark("finished", NO_INTERPRETER)
            return
        if before is not None and before is not repl and not before.is_loss_told:
            run.write_text("stderr", CRASH_NOTICE.format(why=before.explain_end()))
        exit_code = await repl.execute(run)
        if exit_code is None:
            exit_code = repl.exit_code
            repl.is_loss_told = True
            run.write_text("stderr", CRASH_NOTICE.format(why=repl.explain_end()))
        run.mark("finished", exit_code)

    def interrupt(self) -> bool:
        return self._repl is not None and self._repl.interrupt()

    def kill(self) -> None:
        """End the child at once; the run that it works on finishes as after a crash."""
        if self._repl is not None:
            self._repl.child.signal_group(signal.SIGKILL)

    async def complete(self, text: str) -> list[str]:
        return [] if self._repl is None else await self._repl.complete(text)

    async def _spawn(self, python: str) -> Repl | None:
        """None when this interpreter does not come up."""
        ours, theirs = socket.socketpair()
        funnel = Funnel(self._log)
        try:
            child = self._spawn_child(python, theirs.fileno(), funnel)
        except OSError as error:
            _logger.warning("%s does not start: %s", python, error)
            ours.close()
            return None
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=GULP_BYTES)
        repl = Repl(child, funnel, writer)
        self._serving = asyncio.create_task(repl.serve(reader), name="repl")
        await asyncio.wait([repl.ready], timeout=START_SECONDS_MAX)
        if repl.is_ready:
            return repl
        _logger.warning("%s ended before it was ready", python)
        child.signal_group(signal.SIGKILL)
        await repl.gone.wait()
        return None

    def _make_environ(self, python: str) -> Mapping[str, str]:
        """What the image sets for its own interpreter and loader does not suit the bundle's."""
        if python != get_bundle_interpreter():
            return self._environ
        unfit = ("PYTHONHOME", "LD_PRELOAD")
        return {name: value for name, value in self._environ.items() if name not in unfit}

    def drain(self) -> None:
        if self._repl is not None:
            self._repl.drain()

    def _spawn_child(self, python: str, control: int, funnel: Funnel) -> Child:
        out, out_end = make_pipe()
        err, err_end = make_pipe()
        try:
            child = self._processes.spawn(
                [python, str(REPL_SCRIPT), str(control)],
                environ=self._make_environ(python),
                work_dir=self._work_dir,
                stdout=out_end,
                stderr=err_end,
                pass_fds=(control,),
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


async def read_message(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Raises EOFError at the end and ValueError for what is no message."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {length} bytes")
    message = json.loads(await reader.readexactly(length))
    if not isinstance(message, dict):
        raise ValueError("a message that is no map")
    return message
