"""One-time codes: those of the standard, near the clock, and each once."""

import base64

import pytest

from backendai.manager.accounts.totp import STEP_SECONDS, code_of, find_step, make_key, uri_of

# RFC 6238, appendix B: the last six of the eight digits.
KEY = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize(("at", "code"), VECTORS.items())
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    assert code_of(KEY, at // STEP_SECONDS) == code
    assert find_step(KEY, code, at, None) == at // STEP_SECONDS


def test_a_clock_may_be_half_a_minute_wrong_and_not_more() -> None:
    at = 1234567890.0
    step = int(at) // STEP_SECONDS
    for other, is_right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = find_step(KEY, code_of(KEY, step + other), at, None)
        assert found == (step + other if is_right else None)


def test_a_code_is_good_once_and_none_before_it_either() -> None:
    at = 1234567890.0
    step = int(at) // STEP_SECONDS
    for used, is_right in ((step - 1, True), (step, False), (step + 1, False)):
        assert (find_step(KEY, code_of(KEY, step), at, used) is not None) == is_right


@pytest.mark.parametrize("code", ["", "1", "28708", "2870820", "é87082", "٢٨٧٠٨٢", "\ud800"])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert find_step(KEY, code, 59, None) is None


def test_keys_differ_and_devices_read_them() -> None:
    key = make_key()
    assert len(base64.b32decode(key)) == 20
    assert key != make_key()
    uri = uri_of(key, "ann@example.com", "Backend.AI")
    assert uri.startswith("otpauth://totp/Backend.AI%3Aann%40example.com?")
    assert f"secret={key}" in uri
