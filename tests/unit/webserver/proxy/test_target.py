"""Which path of the API is meant, and what is signed for it."""

import pytest

from backendai.common.faults import UrlNotFound
from backendai.webserver.proxy.target import is_open, read_target


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ("/func", "/"),
        ("/func/", "/"),
        ("/func/folders/_/hosts", "/folders/_/hosts"),
        ("/func/folders/_/hosts?", "/folders/_/hosts"),
        ("/func/folders?group_id=a%20b&x=", "/folders?group_id=a%20b&x="),
        ("/func/x??y", "/x??y"),
        ("/func/session/%ED%95%9C", "/session/%ED%95%9C"),
    ],
)
def test_a_target_keeps_its_query_as_it_was_sent(raw: str, target: str) -> None:
    assert read_target(raw) == target


@pytest.mark.parametrize(
    "raw",
    [
        "/funcx",
        "/server/login",
        "/func//evil.example/x",
        "/func/../x",
        "/func/%2e%2e/x",
        "/func/a%2f..%2fb",
        "/func/a\\b",
        "/func/a%00b",
    ],
)
def test_what_another_server_might_read_otherwise_is_no_path(raw: str) -> None:
    with pytest.raises(UrlNotFound):
        read_target(raw)


def test_only_ways_in_are_passed_on_unsigned() -> None:
    assert is_open("/auth/signup")
    assert is_open("/openid/callback?code=1")
    assert not is_open("/auth/signup-all")
    assert not is_open("/cloud")
