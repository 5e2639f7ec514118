"""Reading the services' log files: the last lines, and what comes after."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .faults import SetupFault
from .places import Layout

_POLL_SECONDS = 0.2
_TAIL_BYTES = 256 * 1024


def find_logs(layout: Layout, names: Sequence[str]) -> dict[str, Path]:
    """Log files by service; all of them when no name is given. Raises SetupFault."""
    there = {path.stem: path for path in sorted(layout.log.glob("*.log"))}
    if not there:
        raise SetupFault("there are no logs: nothing has run here", "run `./bai up` first")
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SetupFault(
            f"there is no log of {', '.join(unknown)}",
            f"choose from: {', '.join(there)}; of a session: backendai session logs NAME",
        )
    return {name: there[name] for name in names or there}


def read_tail(path: Path, lines: int) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()[-lines:] if lines else []


def show_logs(logs: dict[str, Path], lines: int, write: Callable[[str], None]) -> None:
    for name, path in logs.items():
        for line in read_tail(path, lines):
            write(f"{name:<11}| {line}" if len(logs) > 1 else line)


def follow_logs(
    logs: dict[str, Path], sleep: Callable[[float], object] = time.sleep
) -> Iterator[str]:
    """New lines of all logs until interrupted; a log that was cut is read from its start."""
    offsets = {name: path.stat().st_size for name, path in logs.items()}
    while True:
        for name, path in logs.items():
            size = path.stat().st_size
            start = offsets[name] if size >= offsets[name] else 0
            with path.open("rb") as file:
                file.seek(start)
                whole, newline, _ = file.read(size - start).rpartition(b"\n")
            offsets[name] = start + len(whole) + len(newline)
            for line in whole.decode(errors="replace").splitlines():
                yield f"{name:<11}| {line}" if len(logs) > 1 else line
        sys.stdout.flush()
        sleep(_POLL_SECONDS)
