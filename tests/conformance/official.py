"""The official client as a person runs it, and as a program uses it."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conformance.calls import Calls
from tests.running.stack import Done, run

# Each call is an expression; what it gives is printed as JSON under the name of the call. A
# failure is a result too: a test that expects one looks for its text.
_PROGRAM: Final = """
import asyncio, json, sys
from ai.backend.client.session import AsyncSession, Session

async def first(open_stream):
    # What comes first out of a stream that `open_stream(session)` opens.
    async with AsyncSession() as session:
        async with open_stream(session) as stream:
            async for each in stream:
                return str(each.data)

with Session() as session:
    known = {"session": session, "found": {}, "first": first, "asyncio": asyncio}
    for name, expression in json.load(sys.stdin):
        try:
            known["found"][name] = eval(expression, known)
        except Exception as error:
            known["found"][name] = {"failed": f"{type(error).__name__}: {error}"}
print(json.dumps(known["found"], default=str))
"""


@dataclass(frozen=True)
class Official:
    """`backend.ai …` as a person runs it: in a folder of their own, with a home of their own."""

    program: Path
    folder: Path
    environ: dict[str, str]
    calls: Calls

    def __call__(self, *words: str, seconds: float = 180.0, typed: str = "") -> Done:
        """Run a command; `typed` is what the person types."""
        more: dict[str, Any] = {"input": typed, "stdin": None} if typed else {}
        argv = [str(self.program), *words]
        done = run(argv, self.environ, seconds, cwd=self.folder, **more)
        self.calls.note(words, done.code)
        return done

    def ok(self, *words: str, typed: str = "") -> str:
        """Everything it printed; it has to succeed, and to say nothing that looks like a bug."""
        done = self(*words, typed=typed)
        assert done.code == 0, f"backend.ai {' '.join(words)}: exit {done.code}\n{done.both}"
        assert "Traceback" not in done.both, done.both
        return done.both

    @contextmanager
    def following(self, *words: str) -> Iterator[list[str]]:
        """Lines that a command prints, as they come, until the person stops it."""
        lines: list[str] = []
        process = subprocess.Popen(
            [str(self.program), *words],
            env=self.environ | {"PYTHONUNBUFFERED": "1"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,))
        reader.start()
        try:
            yield lines
            # One that is stopped did all that was asked of it.
            self.calls.note(words, process.poll() or 0)
        finally:
            process.terminate()
            reader.join()
            process.stdout.close()
            process.wait()

    def sdk(self, **expressions: str) -> dict[str, Any]:
        """What calls of its SDK give, one after another, in one run of Python.

        A name says which call of the table it is, with _ for a blank. In an expression `session`
        is the client's session, `found` has the results so far, and `first` waits for what a stream
        gives. A failure is a result.
        """
        named = [(name.replace("_", " "), text) for name, text in expressions.items()]
        python = str(self.program.with_name("python"))
        text = json.dumps(named)
        done = run([python, "-c", _PROGRAM], self.environ, cwd=self.folder, input=text, stdin=None)
        assert done.code == 0, done.both
        found: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        for name, value in found.items():
            self.calls.note_sdk(name, is_ok=not (isinstance(value, dict) and "failed" in value))
        return found
