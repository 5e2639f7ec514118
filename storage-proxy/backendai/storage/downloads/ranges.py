"""Which bytes a request wants, by RFC 9110. PURE."""

import re
from dataclasses import dataclass
from typing import Final

from backendai.common.upload_faults import RangeRefused

RANGES_MAX: Final = 16
_RANGE: Final = re.compile(r"(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`count` bytes from `start`."""

    start: int
    count: int

    def header(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.count - 1}/{size}"


def parse_ranges(text: str | None, size: int) -> tuple[ByteRange, ...]:
    """Those that are in a file of `size` bytes; none where all of it shall be sent.

    What is not understood is left out, as the standard wants. Raises RangeRefused when nothing of
    what was asked for is there, and for more ranges than anybody needs.
    """
    unit, equals, rest = (text or "").partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return ()
    specs = [spec.strip() for spec in rest.split(",")]
    if len(specs) > RANGES_MAX:
        raise RangeRefused(f"{len(specs)} ranges; {RANGES_MAX} are allowed.", {"size": size})
    found = []
    for spec in specs:
        bounds = _bounds(spec)
        if bounds is None:
            return ()
        one = _clip(*bounds, size)
        if one is not None:
            found.append(one)
    if not found:
        raise RangeRefused(f"The file has {size} bytes.", {"size": size})
    if sum(one.count for one in found) > size:
        # They overlap: sending all of it once is less.
        return ()
    return tuple(found)


def _bounds(spec: str) -> tuple[int | None, int | None] | None:
    match = _RANGE.fullmatch(spec)
    if match is None or not (match[1] or match[2]):
        return None
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    if first is not None and last is not None and first > last:
        return None
    return first, last


def _clip(first: int | None, last: int | None, size: int) -> ByteRange | None:
    if first is None:
        count = min(last or 0, size)
        return ByteRange(size - count, count) if count else None
    if first >= size:
        return None
    end = size - 1 if last is None else min(last, size - 1)
    return ByteRange(first, end - first + 1)
