import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.wsproxy.traffic.chunks import BadChunks, ChunkReader, encode_chunks, encode_end

BODY = b"5;ext=1\r\nhello\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 1 \r\nCookie: no\r\n\r\n"


def read_in_parts(data: bytes, cuts: list[int]) -> tuple[bytes, ChunkReader]:
    reader, content, at = ChunkReader(), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        if reader.is_complete:
            break
        content += b"".join(reader.read(data[at:cut]))
        at = max(at, cut)
    reader.left += data[at:]
    return content, reader


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_it_does_not_matter_how_a_body_is_cut(cuts: list[int]) -> None:
    content, reader = read_in_parts(BODY, cuts)
    assert content == b"hello0123456789"
    assert reader.is_complete
    assert reader.trailers == [(b"X-Sum", b"1")]


def test_what_comes_behind_the_end_is_left() -> None:
    content, reader = read_in_parts(BODY + b"GET /", [])
    assert (content, reader.left) == (b"hello0123456789", b"GET /")


@given(st.binary(max_size=64))
def test_no_bytes_break_it(data: bytes) -> None:
    reader = ChunkReader()
    with contextlib.suppress(BadChunks):
        assert sum(map(len, reader.read(data))) <= len(data)


@pytest.mark.parametrize(
    "body", [b"g\r\n", b"\r\n", b"1\nx", b"1\r\nxx\r\n", b"+1\r\n", b"0\r\nX\r\n"]
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(BadChunks):
        ChunkReader().read(body)


def test_it_is_written_as_it_is_read() -> None:
    data = encode_chunks([b"ab", b"c"]) + encode_chunks([]) + encode_end([(b"X", b"1")])
    assert data == b"3\r\nabc\r\n0\r\nX: 1\r\n\r\n"
    content, reader = read_in_parts(data, [])
    assert (content, reader.trailers) == (b"abc", [(b"X", b"1")])
