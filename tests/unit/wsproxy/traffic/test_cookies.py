import uuid

import pytest

from backendai.wsproxy.traffic.cookies import CookieRules, find_cookies, permit_cookie, permit_name

RULES = CookieRules(frozenset({b"aiohttp_session"}))
CIRCUIT = uuid.UUID(int=5)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (b"a=1; bai_permit=x;b=2", b"a=1; b=2"),
        (b"BAI_PERMIT_0=x", b""),
        (b"__Host-bai_permit=x; __Secure-AIOHTTP_SESSION=y; c=3", b"c=3"),
        (b"a=1;; ;b", b"a=1; b"),
        (b"__host-__secure-bai_permit=x", b""),
    ],
)
def test_apps_do_not_see_what_is_ours(given: bytes, left: bytes) -> None:
    assert RULES.strip(given) == left


@pytest.mark.parametrize(
    ("given", "adopted"),
    [
        (b"a=1; Path=/; domain=.example.org; HttpOnly", b"a=1; Path=/; HttpOnly"),
        (b"a=1;DOMAIN = x", b"a=1"),
        (b"bai_permit_1=x", None),
        (b" AIOHTTP_SESSION =x", None),
        (b"=x", None),
    ],
)
def test_an_app_sets_none_but_its_own(given: bytes, adopted: bytes | None) -> None:
    assert RULES.adopt(given) == adopted


def test_a_circuit_with_a_host_of_its_own_has_a_name_that_only_it_may_set() -> None:
    assert permit_name(CIRCUIT, has_own_host=True, is_secure=True) == b"__Host-bai_permit"
    assert permit_name(CIRCUIT, has_own_host=True, is_secure=False) == b"bai_permit"
    shared = permit_name(CIRCUIT, has_own_host=False, is_secure=True)
    assert shared == b"bai_permit_" + CIRCUIT.hex.encode()


def test_all_values_of_a_name_are_found() -> None:
    assert find_cookies(b"a=1; b=2;a=3=4; aa=5", b"a") == [b"1", b"3=4"]


def test_a_permit_is_for_servers_alone() -> None:
    made = permit_cookie(b"n", "v", 60.5, is_secure=True)
    assert made == b"n=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
