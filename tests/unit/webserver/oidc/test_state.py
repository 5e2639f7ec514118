"""Where people are sent who are not let in, and that the login page has words for each reason."""

import re

import pytest

from backendai.common.faults import Fault
from backendai.webserver.faults import (
    AddressUnverified,
    ProviderAway,
    ProviderDeclined,
    ProviderUntrusted,
    WayExpired,
)
from backendai.webserver.oidc.state import refusal_address
from tests.tidy.tree import ROOT

LOGIN_PAGE = ROOT / "webserver/ui/src/pages/login/Login.tsx"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/", "/?refused=web.x&request=r1"),
        ("/sessions?open=1", "/sessions?open=1&refused=web.x&request=r1"),
        ("/me?tab=keys#end", "/me?tab=keys&refused=web.x&request=r1#end"),
    ],
)
def test_the_page_that_was_asked_for_is_kept(path: str, address: str) -> None:
    assert refusal_address(path, "web.x", "r1") == address


def test_the_login_page_has_words_for_each_way_to_be_turned_back() -> None:
    page = LOGIN_PAGE.read_text()
    told = set(re.findall(r"^  '([a-z_.]+)': 'login\.refused", page, re.MULTILINE))
    own = {WayExpired, ProviderDeclined, ProviderUntrusted, AddressUnverified, ProviderAway}
    assert {fault.code for fault in own} <= told <= set(Fault.by_code)
