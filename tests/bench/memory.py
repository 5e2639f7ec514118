"""Resident memory of the daemons and stores of a stack without sessions."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from psutil import Process

from tests.bench.harness import Row
from tests.running.sessions import list_live
from tests.running.stack import Stack

Trees: TypeAlias = Mapping[str, list[Process]]

NEEDS_STACK: Final = True
MEBIBYTE: Final = 1024 * 1024
# MiB.
LIMITS: Final = {"manager": 190.0, "agent": 100.0}


def measure(stack: Stack) -> list[Row]:
    live = len(list_live(stack.api()))
    state = f"{live} sessions live" if live else "idle"
    trees = {row["name"]: stack.processes(row["name"]) for row in stack.status()["daemons"]}
    mains = {tree[0].pid: name for name, tree in trees.items()}
    return [_row(name, _own(tree, mains, trees), state) for name, tree in trees.items()]


def _own(tree: list[Process], mains: Mapping[int, str], trees: Trees) -> list[Process]:
    """A tree without those that have a name of their own: the supervisor is parent of them all."""
    others = {
        process for child in tree[1:] if child.pid in mains for process in trees[mains[child.pid]]
    }
    return [process for process in tree if process not in others]


def _row(name: str, processes: list[Process], state: str) -> Row:
    resident = sum(process.memory_info().rss for process in processes) / MEBIBYTE
    unique = sum(process.memory_full_info().uss for process in processes) / MEBIBYTE
    what = f"resident memory of {name}, {state}"
    ours = f"{len(processes)} processes, {unique:.0f} MiB their own"
    return Row("G2e", what, resident, LIMITS.get(name), "MiB", ours, is_timed=False)
