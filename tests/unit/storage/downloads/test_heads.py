"""Headers of downloads: no name breaks out of its header, and no script is shown."""

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.storage.downloads.heads import (
    content_headers,
    disposition_of,
    is_unchanged,
    parse_date,
    takes_ranges,
)

AT = datetime(2026, 11, 22, 8, 9, 10, tzinfo=UTC)
AT_TEXT = "Sun, 22 Nov 2026 08:09:10 GMT"


@given(st.text(min_size=1, max_size=50))
def test_names(name: str) -> None:
    text = disposition_of(name)
    assert text.isascii()
    assert text.isprintable()
    plain, _, encoded = text.partition("; filename*=UTF-8''")
    assert plain.count('"') == 2
    assert unquote(encoded) == name


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.xml", "a.pdf", "a.js", "a.txt.gz", "a"])
def test_what_could_hold_a_script_is_saved(name: str) -> None:
    headers = content_headers(name, wants_inline=True)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_validators() -> None:
    assert is_unchanged({"If-None-Match": 'W/"a", "b"'}, '"b"', AT)
    assert is_unchanged({"If-None-Match": "*"}, '"b"', AT)
    assert not is_unchanged({"If-None-Match": '"a"', "If-Modified-Since": AT_TEXT}, '"b"', AT)
    assert is_unchanged({"If-Modified-Since": AT_TEXT}, '"b"', AT)
    assert not is_unchanged({}, '"b"', AT)
    assert takes_ranges({}, '"b"', AT)
    assert takes_ranges({"If-Range": AT_TEXT}, '"b"', AT)
    assert takes_ranges({"If-Range": '"b"'}, '"b"', AT)
    assert not takes_ranges({"If-Range": 'W/"b"'}, '"b"', AT)
    assert not takes_ranges({"If-Range": "Sun, 22 Nov 2026 08:09:11 GMT"}, '"b"', AT)


@given(st.text(max_size=40))
def test_any_text_may_stand_where_a_date_belongs(text: str) -> None:
    found = parse_date(text)
    assert found is None or found.tzinfo is not None
