"""The open connections to apps: how many each kernel has, what they moved, which are to be closed.

Book-keeping alone. `now` is monotonic, `at` the time of day in Unix seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .splice import Splice

Key = tuple[str, int]


@dataclass(slots=True)
class Traffic:
    """Of the apps of one kernel, since the agent came up; `used_at` 0: never."""

    received_bytes: int = 0
    sent_bytes: int = 0
    used_at: float = 0.0


@dataclass(slots=True, eq=False)
class Line:
    """A splice of the kernel `key`, as it was when it was last looked at."""

    key: Key
    splice: Splice
    moved_at: float
    moved: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _Kernel:
    opening: int = 0
    lines: set[Line] = field(default_factory=set)
    traffic: Traffic = field(default_factory=Traffic)


class Lines:
    """All connections of a relay, by kernel and generation."""

    def __init__(self) -> None:
        self._kernels: dict[Key, _Kernel] = {}

    def count(self) -> int:
        return sum(len(one.lines) + one.opening for one in self._kernels.values())

    def count_of(self, key: Key) -> int:
        kernel = self._kernels.get(key)
        return 0 if kernel is None else len(kernel.lines) + kernel.opening

    def traffic_of(self, key: Key, now: float, at: float) -> Traffic:
        kernel = self._kernels.get(key)
        if kernel is None:
            return Traffic()
        for line in kernel.lines:
            self._look(line, now, at)
        return kernel.traffic

    def begin(self, key: Key) -> None:
        """One is being opened: it counts from now on, until `end_opening`."""
        self._kernels.setdefault(key, _Kernel()).opening += 1

    def end_opening(self, key: Key) -> None:
        self._kernels[key].opening -= 1

    def add(self, key: Key, splice: Splice, now: float, at: float) -> Line:
        """To open an app is to use it, even where no byte follows."""
        kernel, line = self._kernels.setdefault(key, _Kernel()), Line(key, splice, now)
        kernel.lines.add(line)
        kernel.traffic.used_at = at
        return line

    def remove(self, line: Line, now: float, at: float) -> None:
        """What moved since the last look counts too."""
        self._look(line, now, at)
        self._kernels[line.key].lines.discard(line)

    def look(self, now: float, at: float) -> None:
        """See what every line has moved."""
        for line in self._all():
            self._look(line, now, at)

    def find_idle(self, now: float, seconds: float) -> list[Line]:
        return [line for line in self._all() if now - line.moved_at >= seconds]

    def find_dead(self, is_live: Callable[[Key], bool]) -> list[Line]:
        """Those of kernels that are no more; what is known of such kernels is forgotten with the
        last of them."""
        dead = {key: one for key, one in self._kernels.items() if not is_live(key)}
        for key, kernel in dead.items():
            if not kernel.lines and not kernel.opening:
                del self._kernels[key]
        return [line for kernel in dead.values() for line in kernel.lines]

    def _all(self) -> Iterator[Line]:
        for kernel in self._kernels.values():
            yield from kernel.lines

    def _look(self, line: Line, now: float, at: float) -> None:
        moved, before = line.splice.moved(), line.moved
        if moved == before:
            return
        traffic = self._kernels[line.key].traffic
        traffic.received_bytes += moved[0] - before[0]
        traffic.sent_bytes += moved[1] - before[1]
        traffic.used_at = at
        line.moved, line.moved_at = moved, now
