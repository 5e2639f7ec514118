"""The chunked coding, read strictly and written anew: what one parser takes for an end, no other
may take for a beginning. PURE.
"""

import re
from typing import Final

# Extensions mean nothing to us and end here.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
SIZE_LINE_BYTES_MAX: Final = 256
TRAILER_BYTES_MAX: Final = 8192
LAST_CHUNK: Final = b"0\r\n\r\n"
# What a trailer may not say: it would count as said by the head.
_NOT_IN_TRAILERS: Final = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"host",
        b"keep-alive",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class BadChunks(ValueError):
    """The body is not in the chunked coding."""


class ChunkReader:
    """Takes a body apart as it comes. `left` is what came behind its end."""

    __slots__ = ("_buffer", "_is_in_trailers", "_missing", "is_complete", "left", "trailers")

    def __init__(self) -> None:
        self._buffer = b""
        # Bytes of the present chunk with its line end; 0 between chunks.
        self._missing = 0
        self._is_in_trailers = False
        self.is_complete = False
        self.left = b""
        self.trailers: list[tuple[bytes, bytes]] = []

    def read(self, data: bytes) -> list[bytes]:
        """The pieces of content in `data`. Raises BadChunks."""
        pieces: list[bytes] = []
        data = self._buffer + data if self._buffer else data
        at = 0
        while not self.is_complete:
            if self._missing:
                at, is_enough = self._read_content(data, at, pieces)
            elif self._is_in_trailers:
                at, is_enough = self._read_trailer(data, at)
            else:
                at, is_enough = self._read_size(data, at)
            if not is_enough:
                self._buffer = data[at:]
                return pieces
        self._buffer = b""
        self.left = data[at:]
        return pieces

    def _read_content(self, data: bytes, at: int, pieces: list[bytes]) -> tuple[int, bool]:
        content = self._missing - 2
        there = len(data) - at
        if content > 0 and there:
            piece = data[at : at + content]
            pieces.append(piece)
            self._missing -= len(piece)
            return at + len(piece), len(piece) == content
        if there < self._missing:
            return at, False
        if data[at : at + 2] != b"\r\n":
            raise BadChunks("a chunk is longer than it says")
        self._missing = 0
        return at + 2, True

    def _read_size(self, data: bytes, at: int) -> tuple[int, bool]:
        line, after = _line_of(data, at, SIZE_LINE_BYTES_MAX)
        if line is None:
            return at, False
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise BadChunks("a chunk has no size")
        size = int(found[1], 16)
        if size:
            self._missing = size + 2
        else:
            self._is_in_trailers = True
        return after, True

    def _read_trailer(self, data: bytes, at: int) -> tuple[int, bool]:
        line, after = _line_of(data, at, TRAILER_BYTES_MAX)
        if line is None:
            return at, False
        if not line:
            self.is_complete = True
            return after, True
        found = _FIELD.fullmatch(line)
        if found is None or len(self.trailers) >= 64:
            raise BadChunks("a trailer is none")
        if found[1].lower() not in _NOT_IN_TRAILERS:
            self.trailers.append((found[1], found[2].rstrip(b" \t")))
        return after, True


def encode_chunks(pieces: list[bytes]) -> bytes:
    """`pieces` as one chunk; nothing for nothing."""
    content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return b"%x\r\n%b\r\n" % (len(content), content) if content else b""


def encode_end(trailers: list[tuple[bytes, bytes]]) -> bytes:
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % pair for pair in trailers)


def _line_of(data: bytes, at: int, bytes_max: int) -> tuple[bytes | None, int]:
    end = data.find(b"\r\n", at, at + bytes_max)
    if end < 0:
        if len(data) - at >= bytes_max:
            raise BadChunks("a line is too long")
        if b"\n" in data[at:]:
            raise BadChunks("a line ends in a bare newline")
        return None, at
    return data[at:end], end + 2
