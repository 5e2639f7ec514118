"""The official client as a person runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running.stack import Done, run


@dataclass(frozen=True)
class Official:
    """`backend.ai …` as a person runs it: in a folder of their own, with a home of their own."""

    program: Path
    folder: Path
    environ: dict[str, str]

    def __call__(self, *words: str, seconds: float = 180.0, typed: str = "") -> Done:
        """Run a command; `typed` is what the person types."""
        more: dict[str, Any] = {"input": typed, "stdin": None} if typed else {}
        argv = [str(self.program), *words]
        return run(argv, self.environ, seconds, cwd=self.folder, **more)

    def ok(self, *words: str, typed: str = "") -> str:
        """Everything it printed; it has to succeed, and to say nothing that looks like a bug."""
        done = self(*words, typed=typed)
        assert done.code == 0, f"backend.ai {' '.join(words)}: exit {done.code}\n{done.both}"
        assert "Traceback" not in done.both, done.both
        return done.both
