"""PURE: curves of what was held, in windows of a quarter of an hour over thirty days.

A level (cores, bytes) is the mean over its window, worked out in integers. What is known only as a
sum at the end, such as bytes read, is spread evenly over the time of the kernel.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final

from backendai.common.slots import CPU, MEM

from .model import MICROSECOND, MILLIONTHS, Held, Span, is_accelerator

WINDOW: Final = timedelta(minutes=15)
WINDOWS: Final = 30 * 24 * 4
_WINDOW: Final = WINDOW // MICROSECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Name -> the word of the wire for its unit.
METRICS: Final[Mapping[str, str]] = {
    "num_sessions": "count",
    "cpu_allocated": "count",
    "mem_allocated": "bytes",
    "gpu_allocated": "count",
    "io_read_bytes": "bytes",
    "io_write_bytes": "bytes",
    "disk_used": "bytes",
}
# The measured ones: name -> the key in what the agent measured last.
_SUMS: Final[Mapping[str, str]] = {
    "io_read_bytes": "io_read_bytes",
    "io_write_bytes": "io_write_bytes",
}
_DISK: Final = "scratch_bytes"


@dataclass(frozen=True, slots=True)
class Point:
    """`at` is the window's beginning. Values are whole numbers or millionths made fractions."""

    at: datetime
    values: Mapping[str, int | float]


class _Curve:
    """Sums by window; a stretch costs the same however many windows it covers."""

    def __init__(self) -> None:
        self._edges = [0] * WINDOWS
        self._steps = [0] * (WINDOWS + 1)

    def add(self, begun: int, ended: int, rate: int) -> None:
        """`rate` for each microsecond from `begun` to `ended`, counted from the first window."""
        if not rate:
            return
        first, last = begun // _WINDOW, (ended - 1) // _WINDOW
        if first == last:
            self._edges[first] += rate * (ended - begun)
            return
        self._edges[first] += rate * ((first + 1) * _WINDOW - begun)
        self._edges[last] += rate * (ended - last * _WINDOW)
        self.mark(first + 1, last - 1, rate * _WINDOW)

    def mark(self, first: int, last: int, value: int) -> None:
        """`value` in each window from `first` to `last`."""
        self._steps[first] += value
        self._steps[last + 1] -= value

    def spread(self, begun: int, ended: int, total: int, whole: int) -> None:
        """The part of `total` that is due: the whole of it lasted `whole` microseconds."""
        if not total:
            return
        first, last = begun // _WINDOW, (ended - 1) // _WINDOW
        for window in {first, last}:
            low, high = max(begun, window * _WINDOW), min(ended, (window + 1) * _WINDOW)
            self._edges[window] += total * (high - low) // whole
        if last - first > 1:
            self.mark(first + 1, last - 1, total * _WINDOW // whole)

    def sums(self) -> list[int]:
        levels = accumulate(self._steps[:-1])
        return [edge + level for edge, level in zip(self._edges, levels, strict=True)]


def span_of_month(now: datetime) -> Span:
    """The thirty days that end with the last window which is over."""
    until = _EPOCH + (now - _EPOCH) // WINDOW * WINDOW
    return Span(until - WINDOWS * WINDOW, until)


def draw(intervals: Iterable[Held], span: Span) -> list[Point]:
    """One point for each window of `span`. What still lasts counts as lasting until its end."""
    curves = {name: _Curve() for name in METRICS}
    windows: dict[str, list[tuple[int, int]]] = {}
    for held in intervals:
        begun = max(held.begun, span.since) - span.since
        ended = min(held.ended or span.until, span.until) - span.since
        low, high = begun // MICROSECOND, ended // MICROSECOND
        if low < high:
            _add(curves, held, low, high, span)
            stretch = (low // _WINDOW, (high - 1) // _WINDOW)
            windows.setdefault(held.session_id, []).append(stretch)
    for stretches in windows.values():
        for first, last in _merged(stretches):
            curves["num_sessions"].mark(first, last, 1)
    return _points(curves, span)


def _add(curves: Mapping[str, _Curve], held: Held, low: int, high: int, span: Span) -> None:
    amounts = held.amounts
    curves["cpu_allocated"].add(low, high, amounts.get(CPU, 0))
    curves["mem_allocated"].add(low, high, amounts.get(MEM, 0))
    gpu = sum(amount for slot, amount in amounts.items() if is_accelerator(slot))
    curves["gpu_allocated"].add(low, high, gpu)
    measured = held.read_facts().get("last_use") or {}
    curves["disk_used"].add(low, high, int(measured.get(_DISK, 0)) * MILLIONTHS)
    whole = max(((held.ended or span.until) - held.begun) // MICROSECOND, 1)
    for name, key in _SUMS.items():
        curves[name].spread(low, high, int(measured.get(key, 0)), whole)


def _merged(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of windows that neither overlap nor touch."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _points(curves: Mapping[str, _Curve], span: Span) -> list[Point]:
    counted = {"num_sessions", *_SUMS}
    columns = {
        name: curve.sums() if name in counted else [_mean(total) for total in curve.sums()]
        for name, curve in curves.items()
    }
    return [
        Point(
            span.since + index * WINDOW, {name: column[index] for name, column in columns.items()}
        )
        for index in range(WINDOWS)
    ]


def _mean(total: int) -> int | float:
    """Of millionths times microseconds over one window, in units."""
    millionths = total // _WINDOW
    return millionths / MILLIONTHS if millionths % MILLIONTHS else millionths // MILLIONTHS
