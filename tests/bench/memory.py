"""Resident memory of the daemons and stores of a stack without sessions."""

from typing import Final

from tests.bench.harness import Row
from tests.running.sessions import list_live
from tests.running.stack import Stack

NEEDS_STACK: Final = True
MEBIBYTE: Final = 1024 * 1024
# MiB; G2e, and beside it the raw stores' sum of `performance.md` section 9 with 10 % on top.
LIMITS: Final = {"manager": 190.0, "agent": 100.0}


def measure(stack: Stack) -> list[Row]:
    live = len(list_live(stack.api()))
    state = f"{live} sessions live" if live else "idle"
    names = [row["name"] for row in stack.status()["daemons"]]
    return [_row(stack, name, state) for name in names]


def _row(stack: Stack, name: str, state: str) -> Row:
    processes = stack.processes(name)
    resident = sum(process.memory_info().rss for process in processes) / MEBIBYTE
    unique = sum(process.memory_full_info().uss for process in processes) / MEBIBYTE
    what = f"resident memory of {name}, {state}"
    ours = f"{len(processes)} processes, {unique:.0f} MiB their own"
    return Row("G2e", what, resident, LIMITS.get(name), "MiB", ours)
