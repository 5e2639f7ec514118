"""What a terminal has printed of late, for whoever looks at it next."""

from typing import Final

BYTES_MAX: Final = 1024 * 1024


class Scrollback:
    """Raw output, the last `bytes_max` of it at most, from the start of a line."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._data = bytearray()
        self._is_cut = False

    def add(self, data: bytes) -> None:
        self._data += data
        # Seldom, because it moves what is kept.
        if len(self._data) > 2 * self._bytes_max:
            self._cut()

    def read(self) -> bytes:
        if len(self._data) > self._bytes_max:
            self._cut()
        start = self._data.find(b"\n") + 1 if self._is_cut else 0
        return bytes(self._data[start:])

    def _cut(self) -> None:
        del self._data[: len(self._data) - self._bytes_max]
        self._is_cut = True
