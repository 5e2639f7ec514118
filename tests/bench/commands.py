"""How long a person waits for the command line itself."""

import sys
from typing import Final

from tests.bench.harness import Row, interleave, show, timed
from tests.running.stack import COMMAND, Stack, run

NEEDS_STACK: Final = True
SECONDS_MAX: Final = 0.4
ROUNDS: Final = 9


def measure(stack: Stack) -> list[Row]:
    return [_measure(stack, "--help"), _measure(stack, "ps")]


def _measure(stack: Stack, word: str) -> Row:
    environ = stack.environ | stack.credentials()

    def ours() -> None:
        done = run([str(COMMAND), word], environ)
        assert done.code == 0, done.both

    def peer() -> None:
        run([sys.executable, "-c", "pass"], environ)

    rounds = interleave(timed(ours), timed(peer), ROUNDS)
    seconds = rounds.ours_median
    what = f"`backendai {word}` beside `python -c pass`"
    return Row("CLI", what, seconds, SECONDS_MAX, "s", show(rounds.ours), show(rounds.peer))
