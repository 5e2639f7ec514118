"""The process that users' snippets run in, started by the runner with the image's own Python.

It stands alone: standard library only, Python 3.6 or newer, nothing of the bundle in reach. Output
goes through file descriptors 1 and 2; everything else (code, questions, rich results) through one
socket of JSON frames.
"""

import ast
import base64
import builtins
import contextlib
import functools
import getpass
import importlib
import io
import json
import keyword
import linecache
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import Any

MEDIA_BYTES_MAX = 8 * 1024 * 1024
COMPLETIONS_MAX = 200
OUTLET_BYTES = 1 << 16
# More lines than this in so many seconds are a burst; fewer in one pause of it are its end.
BURST_LINES = 256
BURST_SECONDS = 0.02
PAUSE_SECONDS = 0.003
TRICKLE_LINES = 32
INTERRUPTED = 130
RICH_METHODS = (
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_html_", "text/html"),
)
FIGURES_MODULE = "backendai_figures"
# What another program prints, or the end of this one, may not overtake what was printed before.
LEAVING = {
    "os": (
        *("system", "execv", "execve", "posix_spawn", "posix_spawnp"),
        *("kill", "killpg", "abort", "_exit"),
    ),
    "signal": ("raise_signal",),
    "_posixsubprocess": ("fork_exec",),
}


class RunnerLeft(BaseException):
    """The other end of the socket is gone: there is nobody to work for."""


class Interrupts:
    """SIGINT becomes KeyboardInterrupt in user code only, never half way through a frame."""

    def __init__(self) -> None:
        self.is_active = False
        self.is_shielded = False
        self.is_pending = False

    def install(self) -> None:
        signal.signal(signal.SIGINT, self._arrive)

    def _arrive(self, number: int, frame: "types.FrameType | None") -> None:
        if self.is_shielded:
            self.is_pending = True
        elif self.is_active:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self.is_shielded = True

    def __exit__(self, *exc_info: object) -> None:
        self.is_shielded = False
        if self.is_pending:
            self.is_pending = False
            if self.is_active:
                raise KeyboardInterrupt


class Control:
    """Frames to and from the runner. Only the main thread of the first process asks and waits."""

    def __init__(self, descriptor: int, interrupts: Interrupts) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor)
        os.set_inheritable(descriptor, False)
        self._interrupts = interrupts
        self._lock = threading.Lock()
        self._sequence = 0
        self._pid = os.getpid()

    def is_mine(self) -> bool:
        return threading.current_thread() is threading.main_thread() and os.getpid() == self._pid

    def send(self, message: "dict[str, object]") -> None:
        if os.getpid() != self._pid:
            return
        data = json.dumps(message).encode("ascii")
        with self._interrupts, self._lock:
            self._socket.sendall(struct.pack("!I", len(data)) + data)

    def receive(self) -> "dict[str, Any]":
        """The next frame; while it waits an interrupt may arrive, while it reads none does."""
        if os.getpid() != self._pid:
            os._exit(
                0
            )  # A fork that ran past the end of its snippet: the runner talks to one process.
        select.select([self._socket], [], [])
        with self._interrupts:
            (length,) = struct.unpack("!I", self._read(4))
            message: dict[str, Any] = json.loads(self._read(length).decode("utf-8"))
            return message

    def exchange(self, message: "dict[str, object]") -> "dict[str, Any]":
        """Send and wait for the answer of the same number; answers to questions given up are passed
        over.
        """
        self._sequence += 1
        message["seq"] = self._sequence
        self.send(message)
        while True:
            answer = self.receive()
            if answer.get("seq") == self._sequence:
                return answer

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._socket.recv(min(length, 1 << 20))
            if not part:
                raise RunnerLeft
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


class Console:
    """Keeps what the two streams and the socket carry in the order in which the user's code said
    it.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._speaker: Stream | None = None
        self.out = Stream(1, "<stdout>", self)
        self.err = Stream(2, "<stderr>", self)

    def take_turn(self, stream: "Stream") -> None:
        """Before another stream speaks, the runner takes in what the one before it said."""
        if self._speaker is stream:
            return
        previous = self._speaker
        self._pass_turn(stream)
        if previous is not None and self._control.is_mine():
            previous.flush()
            self._control.exchange({"op": "sync"})

    def show(self, mime: str, data: "str | bytes") -> None:
        """Send a rich result: text, or bytes as base64."""
        if isinstance(data, bytes):
            data = base64.b64encode(data).decode("ascii")
        data = data.encode("utf-8", "replace").decode("utf-8")
        if len(data) > MEDIA_BYTES_MAX:
            line = "(a result of type %s is not shown: %d bytes, at most %d are)\n"
            self.err.write(line % (mime, len(data), MEDIA_BYTES_MAX))
            return
        self.flush()
        content = data if mime == "text/html" else [mime, data]
        message: dict[str, object] = {"op": "show", "content": content}
        if self._control.is_mine():
            self._control.exchange(message)
        else:
            self._control.send(message)
        self._pass_turn(None)

    def ask(self, prompt: object, is_password: bool) -> str:
        if not self._control.is_mine():
            raise EOFError("only the main thread can ask for input")
        self.out.write(str(prompt))
        self.flush()
        answer = self._control.exchange({"op": "input", "is_password": is_password})
        return str(answer["text"])

    def flush(self) -> None:
        for stream in (self.out, self.err):
            # When the user closed it there is nothing left to flush.
            with contextlib.suppress(OSError, ValueError):
                stream.flush()

    def settle(self) -> None:
        """All lines out, and no thread of ours: what comes next is another process, or the end."""
        for stream in (self.out, self.err):
            stream.outlet.settle()

    def begin_alone(self) -> None:
        """In the child of a fork, which has no thread but the one that forked."""
        for stream in (self.out, self.err):
            stream.outlet.begin_alone()

    def _pass_turn(self, stream: "Stream | None") -> None:
        if self._speaker is not None:
            self._speaker.is_speaking = False
        self._speaker = stream
        if stream is not None:
            stream.is_speaking = True


class Outlet(io.BufferedWriter):
    """The bytes of a stream on their way into the pipe: line by line, as on a terminal.

    A system call for each line costs several times what printing it does, so the lines of a burst
    are gathered for a few milliseconds by a thread that lives as long as the burst. What kills the
    process from outside, or in C, takes those milliseconds' lines with it.
    """

    def __init__(self, raw: io.FileIO, may_gather: bool) -> None:
        super().__init__(raw, OUTLET_BYTES)
        self._may_gather = may_gather
        self._is_gathering = False
        self._lines = 0
        self._counting_since = 0.0
        self._settling = threading.Event()
        self._gatherer: threading.Thread | None = None

    def flush(self) -> None:
        """Called after each line."""
        self._lines += 1
        if self._is_gathering:
            return
        super().flush()
        if self._lines > BURST_LINES:
            self._heed_rate()

    def flush_now(self) -> None:
        super().flush()

    def settle(self) -> None:
        """Flush, and end the burst, so that no thread and no lock of it is met by a fork."""
        try:
            self.flush_now()
        except RuntimeError:
            return  # A signal came in the midst of a flush: what was printed is on its way.
        except (OSError, ValueError):
            pass  # The user closed it: there is nothing left to flush.
        gatherer = self._gatherer
        if gatherer is not None and gatherer.is_alive():
            self._settling.set()
            gatherer.join()

    def begin_alone(self) -> None:
        self._is_gathering = False

    def _heed_rate(self) -> None:
        now = time.monotonic()
        is_burst = now - self._counting_since < BURST_SECONDS
        self._counting_since, self._lines = now, 0
        is_gathered = self._gatherer is not None and self._gatherer.is_alive()
        if is_burst and self._may_gather and not is_gathered:
            self._settling.clear()
            self._gatherer = threading.Thread(target=self._gather, name="output", daemon=True)
            # At the limit of threads every line goes out alone.
            with contextlib.suppress(RuntimeError):
                self._gatherer.start()

    def _gather(self) -> None:
        self._is_gathering = True
        lines = BURST_LINES
        with contextlib.suppress(OSError, ValueError):
            while lines > TRICKLE_LINES and not self._settling.wait(PAUSE_SECONDS):
                lines, self._lines = self._lines, 0
                self.flush_now()
        # In this order: a line that was still gathered is in the buffer by now.
        self._is_gathering = False
        with contextlib.suppress(OSError, ValueError):
            self.flush_now()


class Stream(io.TextIOWrapper):
    """sys.stdout or sys.stderr: flushed at each line, as on a terminal."""

    def __init__(self, descriptor: int, label: str, console: Console) -> None:
        # Without a word before forks (Python 3.6), gathered lines would be printed twice.
        self.outlet = Outlet(
            io.FileIO(descriptor, "w", closefd=False), hasattr(os, "register_at_fork")
        )
        super().__init__(
            self.outlet, encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self._console = console
        self._label = label

    @property
    def name(self) -> str:
        return self._label

    @property
    def is_speaking(self) -> bool:
        return "write" in vars(self)

    @is_speaking.setter
    def is_speaking(self, is_speaking: bool) -> None:
        """The one that speaks has nothing to ask before it writes, and printing is a hot path."""
        if is_speaking:
            vars(self)["write"] = super().write
        else:
            vars(self).pop("write", None)

    def write(self, text: str) -> int:
        self._console.take_turn(self)
        return super().write(text)

    def flush(self) -> None:
        super().flush()
        self.outlet.flush_now()


class Questions(io.StringIO):
    """sys.stdin: each line is asked of the user."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def readline(self, size: Any = -1) -> Any:
        return self._console.ask("", False) + "\n"

    def read(self, size: Any = -1) -> str:
        return str(self.readline())


class Displayer:
    """Shows values the way they show best: as an image, as HTML, or as text."""

    def __init__(self, console: Console, namespace: "dict[str, Any]") -> None:
        self._console = console
        self._namespace = namespace

    def show_result(self, value: object) -> None:
        if value is not None:
            self.show(value)
            self._namespace["_"] = value

    def show(self, *values: object) -> None:
        for value in values:
            if not self._show_figure(value) and not self._show_rich(value):
                self._console.out.write(repr(value) + "\n")

    def flush_figures(self) -> None:
        """Show each matplotlib figure that is open, then close it."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None or not hasattr(pyplot, "get_fignums"):
            return
        for number in pyplot.get_fignums():
            self._show_figure(pyplot.figure(number))

    def _show_figure(self, value: Any) -> bool:
        if not type(value).__module__.startswith("matplotlib.figure"):
            return False
        buffer = io.BytesIO()
        value.savefig(buffer, format="png", bbox_inches="tight")
        self._console.show("image/png", buffer.getvalue())
        sys.modules["matplotlib.pyplot"].close(value)
        return True

    def _show_rich(self, value: object) -> bool:
        if isinstance(value, type):
            return False
        for name, mime in RICH_METHODS:
            method = getattr(value, name, None)
            data = method() if callable(method) else None
            if isinstance(data, (str, bytes)):
                self._console.show(mime, data)
                return True
        return False


class FigureFinder(Loader):
    """Makes the matplotlib backend whose show() sends the open figures; matplotlib is imported only
    by the user.
    """

    def __init__(self, displayer: Displayer) -> None:
        self._displayer = displayer

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> "ModuleSpec | None":
        if name != FIGURES_MODULE:
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        bases = importlib.import_module("matplotlib.backend_bases")
        agg = importlib.import_module("matplotlib.backends.backend_agg")

        def show(*args: object, **options: object) -> None:
            self._displayer.flush_figures()

        parts = {
            "FigureCanvas": agg.FigureCanvasAgg,
            "FigureManager": bases.FigureManagerBase,
            "show": show,
        }
        module.__dict__.update(parts)


class Snippets:
    """Runs pieces of code in one namespace that lasts."""

    def __init__(self, control: Control, console: Console, interrupts: Interrupts) -> None:
        self._control = control
        self._console = console
        self._interrupts = interrupts
        self._count = 0
        self._loop: Any = None
        self._module = types.ModuleType("__main__")
        self.namespace = self._module.__dict__
        self.namespace["__builtins__"] = builtins
        self.displayer = Displayer(console, self.namespace)
        self.namespace["display"] = self.displayer.show
        sys.modules["__main__"] = self._module
        sys.displayhook = self.displayer.show_result

    def run(self, code: str) -> int:
        """The exit code: 0, 1 after an exception, 130 after an interrupt, or what was passed to
        exit().
        """
        try:
            try:
                self._interrupts.is_active = True
                self._control.send({"op": "started"})
                self._execute(code)
                self.displayer.flush_figures()
            finally:
                self._interrupts.is_active = False
        except SystemExit as request:
            return self._leave(request.code)
        except RunnerLeft:
            raise
        except BaseException as error:
            self._report(error)
            return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        finally:
            self._flush()
        return 0

    def _execute(self, code: str) -> None:
        self._count += 1
        filename = f"<input-{self._count}>"
        linecache.cache[filename] = (len(code), None, code.splitlines(True), filename)
        tree = ast.parse(code, filename)
        last = None
        final = tree.body[-1] if tree.body else None
        if isinstance(final, ast.Expr):
            tree.body.pop()
            last = ast.Expression(final.value)
        self._evaluate(tree, filename, "exec")
        if last is not None:
            self.displayer.show_result(self._evaluate(last, filename, "eval"))

    def _evaluate(self, tree: "ast.Module | ast.Expression", filename: str, mode: str) -> object:
        flags = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
        compiled = compile(tree, filename, mode, flags, dont_inherit=True)
        # Running users' code is what this program is for.
        result: object = eval(compiled, self.namespace)  # noqa: S307
        if flags and compiled.co_flags & 0x80:  # CO_COROUTINE: the snippet awaits at its top level
            result = self._get_loop().run_until_complete(result)
        return result

    def _get_loop(self) -> Any:
        if self._loop is None or self._loop.is_closed():
            import asyncio

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def _report(self, error: BaseException) -> None:
        """The traceback without the frames of this file."""
        report = traceback.TracebackException(type(error), error, error.__traceback__)
        known: set[int] = set()
        waiting: list[traceback.TracebackException | None] = [report]
        while waiting:
            part = waiting.pop()
            if part is None or id(part) in known:
                continue
            known.add(id(part))
            part.stack = keep_user_frames(part.stack)
            waiting += [part.__cause__, part.__context__]
        self._console.err.write("".join(report.format()))

    def _leave(self, code: object) -> int:
        if code is None:
            return 0
        if isinstance(code, int):
            return code & 0xFF
        self._console.err.write(f"{code}\n")
        return 1

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                self._console.err.write(f"(the stream {stream!r} cannot be flushed)\n")
        self._console.flush()


def keep_user_frames(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Without the frames of this file, nor those above the first line that the user wrote."""
    frames = [frame for frame in stack or () if frame.filename != __file__]
    is_user = [frame.filename.startswith("<input-") for frame in frames]
    return traceback.StackSummary.from_list(frames[is_user.index(True) :] if any(is_user) else [])


class Completer:
    """Names and attributes that begin like the last word of a line, from the live objects."""

    def __init__(self, namespace: "dict[str, Any]") -> None:
        self._namespace = namespace

    def complete(self, text: str) -> "list[str]":
        match = re.search(r"[\w.]*$", text)
        word = match.group() if match else ""
        path, _, start = word.rpartition(".")
        names = self._list_attributes(path) if path else self._list_names()
        prefix = path + "." if path else ""
        fitting = sorted(name for name in names if name.startswith(start))
        if not start:
            fitting = [name for name in fitting if not name.startswith("_")]
        return [prefix + name for name in fitting[:COMPLETIONS_MAX]]

    def _list_names(self) -> "set[str]":
        return set(keyword.kwlist) | set(self._namespace) | set(dir(builtins))

    def _list_attributes(self, path: str) -> "set[str]":
        first, *rest = path.split(".")
        try:
            value = self._namespace[first] if first in self._namespace else getattr(builtins, first)
            for name in rest:
                value = getattr(value, name)
            return {str(name) for name in dir(value)}
        except Exception:
            return set()  # Whatever the user's object raises, it only means: nothing to offer.


def take_over(console: Console, displayer: Displayer) -> None:
    """Put the console in the places where user code looks for it."""
    stdin: Any = Questions(console)
    for name, stream in (("stdout", console.out), ("stderr", console.err), ("stdin", stdin)):
        setattr(sys, name, stream)
        setattr(sys, "__" + name + "__", stream)

    def ask_line(prompt: object = "") -> str:
        return console.ask(prompt, False)

    def ask_password(prompt: object = "Password: ", stream: object = None) -> str:
        return console.ask(prompt, True)

    settle_before_leaving(console)
    builtins.input = ask_line
    getpass.getpass = ask_password
    sys.argv = [""]
    sys.path[0] = ""
    if "MPLBACKEND" not in os.environ:
        os.environ["MPLBACKEND"] = "module://" + FIGURES_MODULE
        finder: Any = FigureFinder(displayer)
        sys.meta_path.append(finder)


def settle_before_leaving(console: Console) -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=console.settle, after_in_child=console.begin_alone)
    for name, functions in LEAVING.items():
        module = importlib.import_module(name)
        for function in functions:
            original = getattr(module, function, None)
            if original is not None:
                setattr(module, function, replace(original, settle_first(original, console), name))


def replace(original: Any, ours: Any, module: str) -> Any:
    """`ours`, so that nobody who pickles it or asks `os` about it sees a difference."""
    ours.__module__ = module
    for known in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if original in known:
            known.add(ours)
    return ours


def settle_first(function: Any, console: Console) -> Any:
    """`function`, called when everything that was printed is in the pipe."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        console.settle()
        return function(*args, **options)

    return call


def serve(control: Control, snippets: Snippets) -> None:
    completer = Completer(snippets.namespace)
    version = ".".join(map(str, sys.version_info[:3]))
    control.send({"op": "ready", "version": version})
    while True:
        message = control.receive()
        if message["op"] == "run":
            control.send({"op": "done", "exit_code": snippets.run(message["code"])})
        elif message["op"] == "complete":
            matches = completer.complete(message["text"])
            control.send({"op": "completions", "id": message["id"], "matches": matches})


def main() -> None:
    interrupts = Interrupts()
    interrupts.install()
    control = Control(int(sys.argv[1]), interrupts)
    console = Console(control)
    snippets = Snippets(control, console, interrupts)
    take_over(console, snippets.displayer)
    try:
        serve(control, snippets)
    except (RunnerLeft, OSError):
        os._exit(0)


if __name__ == "__main__":
    main()
