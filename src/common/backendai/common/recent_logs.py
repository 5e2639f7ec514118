"""The latest records of this process in memory, for who may read them from afar.

They are kept as they are written: without secrets, whatever the log itself is written as.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from .logs import JsonFormatter

RECORDS_MAX: Final = 1000
# One that is longer by itself is only in the log.
CHARS_MAX: Final = 4 << 20


class RecentLogs(logging.Handler):
    """Bounded by the count of records and by their characters; the oldest go first."""

    def __init__(self, records_max: int = RECORDS_MAX, chars_max: int = CHARS_MAX) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._records_max = records_max
        self._chars_max = chars_max
        self._chars = 0
        self._lines: deque[tuple[int, str]] = deque()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        self._lines.append((record.levelno, line))
        self._chars += len(line)
        while len(self._lines) > self._records_max or self._chars > self._chars_max:
            self._chars -= len(self._lines.popleft()[1])

    def list(self, level: str, count_max: int) -> list[dict[str, Any]]:
        """The latest records that are at least as severe as `level`, the newest last.

        Each has time, level, logger, event and its fields, as the log in JSON has them.
        """
        least = logging.getLevelNamesMapping()[level]
        # Other threads log too.
        self.acquire()
        try:
            lines = [line for number, line in self._lines if number >= least]
        finally:
            self.release()
        return [msgspec.json.decode(line) for line in lines[-count_max:]]


@contextmanager
def keep_recent() -> Iterator[RecentLogs]:
    """What is logged inside, from the level on that is logged at all."""
    recent, root = RecentLogs(), logging.getLogger()
    root.addHandler(recent)
    try:
        yield recent
    finally:
        root.removeHandler(recent)
