"""How figures are taken: interleaved rounds of ours and the peer, the median of per-round ratios.

One-shot wall times mean little on a shared machine; ratios of the same round do. CPU seconds of
named process trees are the steadier figure. A busy machine makes a figure inconclusive, not bad.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, TextIO

import psutil

LOAD_MAX: Final = 6.0
Sampler = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `value` is a ratio (unit `x`) or an amount; `limit` None has no goal.

    `is_floor` tells that the value shall be at least the limit instead of at most, `is_timed` that
    other load on the machine changes it.
    """

    goal: str
    what: str
    value: float
    limit: float | None
    unit: str = "x"
    ours: str = ""
    peer: str = ""
    is_floor: bool = False
    is_timed: bool = True
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return "-"
        if self.is_timed and self.load > LOAD_MAX:
            return "inconclusive"
        is_met = self.value >= self.limit if self.is_floor else self.value <= self.limit
        return "met" if is_met else "MISSED"


@dataclass(frozen=True, slots=True)
class Rounds:
    """Samples in seconds, one pair a round."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(a / b for a, b in zip(self.ours, self.peer, strict=True))

    @property
    def ours_median(self) -> float:
        return statistics.median(self.ours)

    @property
    def peer_median(self) -> float:
        return statistics.median(self.peer)

    def row(self, goal: str, what: str, limit: float | None) -> Row:
        return Row(goal, what, self.ratio, limit, "x", show(self.ours), show(self.peer))


def interleave(ours: Sampler, peer: Sampler, rounds: int, *, warm: int = 1) -> Rounds:
    """Alternate which side goes first, so that neither always meets the warmer machine."""
    for _ in range(warm):
        peer()
        ours()
    taken: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            ours_seconds = ours()
            taken.append((ours_seconds, peer()))
        else:
            peer_seconds = peer()
            taken.append((ours(), peer_seconds))
    return Rounds(tuple(a for a, _ in taken), tuple(b for _, b in taken))


def timed(action: Callable[[], object]) -> Sampler:
    """A sampler of the wall time of `action`."""

    def sample() -> float:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started

    return sample


def per_operation(action: Callable[[], object], count: int) -> Sampler:
    """A sampler of the mean wall time of `count` actions in a row."""

    def sample() -> float:
        started = time.perf_counter()
        for _ in range(count):
            action()
        return (time.perf_counter() - started) / count

    return sample


class CpuMeter:
    """CPU seconds that named process trees used since it was made."""

    def __init__(self, trees: Mapping[str, Iterable[psutil.Process]]) -> None:
        self._trees = {name: tuple(processes) for name, processes in trees.items()}
        self._before = self._read()

    def milliseconds_per(self, operations: int) -> dict[str, float]:
        now = self._read()
        return {
            name: (now[name] - before) * 1000 / operations for name, before in self._before.items()
        }

    def _read(self) -> dict[str, float]:
        return {name: sum(map(_cpu_seconds, tree)) for name, tree in self._trees.items()}


def _cpu_seconds(process: psutil.Process) -> float:
    """All threads, those that ended too. Read from the kernel's clock of that process, whose id is
    made like this: what `/proc` tells is rounded to ten milliseconds, a tenth of a short round.
    """
    return time.clock_gettime(~process.pid << 3 | 2)


def show(samples: Sequence[float]) -> str:
    """`median (best)` in the unit that reads best."""
    return f"{show_seconds(statistics.median(samples))} ({show_seconds(min(samples))})"


def show_seconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def show_cpu(milliseconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {used:.2f} ms" for name, used in milliseconds.items())


def print_table(rows: Sequence[Row], to: TextIO = sys.stdout) -> None:
    heads = ("goal", "what", "ours: median (best)", "peer: median (best)", "value", "goal is", "")
    lines = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=to)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=to)


def print_json(rows: Sequence[Row], to: TextIO = sys.stdout) -> None:
    found = [{**asdict(row), "verdict": row.verdict} for row in rows]
    json.dump({"load": os.getloadavg()[0], "processors": os.cpu_count(), "rows": found}, to)
    print(file=to)


def _cells(row: Row) -> tuple[str, ...]:
    sign = ">=" if row.is_floor else "<="
    limit = "" if row.limit is None else f"{sign} {row.limit:g} {row.unit}"
    value = f"{row.value:.2f} {row.unit}"
    return (row.goal, row.what, row.ours, row.peer, value, limit, row.verdict)
