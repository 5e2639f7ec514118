"""Addresses of those who come."""

import pytest

from backendai.wsproxy.circuits.model import plain_address


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("unknown", ""),
        ("203.0.113.9:80", ""),
        ("", ""),
    ],
)
def test_each_address_has_one_spelling(text: str, plain: str) -> None:
    assert plain_address(text) == plain
