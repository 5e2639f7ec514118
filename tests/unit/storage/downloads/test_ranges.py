"""Ranges: whatever is asked for, what is sent lies in the file."""

from hypothesis import given
from hypothesis import strategies as st

from backendai.common.upload_faults import RangeRefused
from backendai.storage.downloads.ranges import RANGES_MAX, ByteRange, parse_ranges

SPECS = st.from_regex(r"[0-9]{0,3}-[0-9]{0,3}", fullmatch=True) | st.text(
    "0123456789-, ", max_size=9
)


@given(st.lists(SPECS, max_size=RANGES_MAX + 2), st.integers(0, 200))
def test_what_is_sent_lies_in_the_file(specs: list[str], size: int) -> None:
    try:
        found = parse_ranges("bytes=" + ",".join(specs), size)
    except RangeRefused:
        return
    assert sum(one.count for one in found) <= size
    assert all(0 <= one.start < one.start + one.count <= size for one in found)


@given(st.integers(1, 200), st.integers(0, 300), st.integers(0, 300))
def test_one_range_is_a_slice(size: int, first: int, last: int) -> None:
    data = bytes(range(200))[:size]
    try:
        found = parse_ranges(f"bytes={first}-{last}", size)
    except RangeRefused:
        assert first >= size
        return
    if first > last:
        assert found == ()
        return
    assert [data[one.start : one.start + one.count] for one in found] == [data[first : last + 1]]


def test_what_is_no_range_is_all() -> None:
    for text in (None, "", "bytes", "bytes=", "lines=1-2", "bytes=x-y", "bytes=5-1", "bytes=1-2;3"):
        assert parse_ranges(text, 10) == (), text


def test_the_header_of_an_answer() -> None:
    assert ByteRange(2, 3).header(10) == "bytes 2-4/10"
