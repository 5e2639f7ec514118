"""Tokens: what is signed comes back, and nothing else opens anything."""

import base64
import json
from datetime import timedelta
from typing import Any, Final

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.clock import FakeClock
from backendai.common.faults import Fault, Forbidden
from backendai.common.upload_faults import TokenExpired, TokenForOther, TokenRefused
from backendai.storage.tokens import Claims, Purpose, TokenBox, expiry

SECRET: Final = "a-secret-of-tests"


def claims(**changes: Any) -> Claims:
    given: dict[str, Any] = {
        "op": Purpose.DOWNLOAD,
        "volume": "local",
        "vfid": "user:x/y",
        "relpath": "a/b",
        "exp": expiry(FakeClock().now() + timedelta(minutes=1)),
    }
    return Claims(**(given | changes))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def box(clock: FakeClock) -> TokenBox:
    return TokenBox(SECRET, clock)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_what_was_signed_is_read(box: TokenBox, purpose: Purpose) -> None:
    signed = claims(op=purpose, size=5, session="0" * 32, relpaths=("x", "é"))
    assert box.read(box.sign(signed), purpose) == signed


def test_another_purpose_is_refused(box: TokenBox) -> None:
    token = box.sign(claims(op=Purpose.UPLOAD))
    with pytest.raises(TokenForOther):
        box.read(token, Purpose.DOWNLOAD, Purpose.EXTRACT)


def test_it_expires(box: TokenBox, clock: FakeClock) -> None:
    token = box.sign(claims())
    clock.shift(59.5)
    box.read(token, Purpose.DOWNLOAD)
    clock.shift(1)
    with pytest.raises(TokenExpired):
        box.read(token, Purpose.DOWNLOAD)


def test_another_secret_is_refused(box: TokenBox, clock: FakeClock) -> None:
    with pytest.raises(TokenRefused):
        box.read(TokenBox("another secret", clock).sign(claims()), Purpose.DOWNLOAD)


def test_paths_outside_of_folders_are_refused(box: TokenBox) -> None:
    with pytest.raises(Forbidden):
        box.read(box.sign(claims(unmanaged_path="/etc")), Purpose.DOWNLOAD)


def encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def body(**changes: Any) -> dict[str, Any]:
    return {
        "op": "download",
        "volume": "local",
        "vfid": "x",
        "relpath": "y",
        "exp": 1 << 40,
    } | changes


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        f"{encode({'alg': 'none'})}.{encode(body())}.",
        f"{encode({'alg': 'None', 'typ': 'JWT'})}.{encode(body())}.",
        f"{encode({'alg': 'HS256', 'kid': '../../dev/null'})}.{encode(body())}.",
        f"{encode({'alg': 'RS256', 'jku': 'https://example.org'})}.{encode(body())}.AAAA",
        jwt.encode(body(), "x", "HS256"),
        jwt.encode(body(), SECRET, "HS256"),
        jwt.encode(body(op="nonsense"), SECRET, "HS256"),
        "x" * 100_000,
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens_are_refused(box: TokenBox, token: str) -> None:
    with pytest.raises(TokenRefused):
        box.read(token, *Purpose)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": "soon"},
        {"exp": 1e99},
        {"exp": None},
        {"volume": 5},
        {"relpath": None},
        {"size": "x"},
    ],
)
def test_claims_of_other_types_are_refused(box: TokenBox, changes: dict[str, Any]) -> None:
    # By the right key, which no test has: so the box itself signs.
    key = box._keys[Purpose.DOWNLOAD]
    with pytest.raises(TokenRefused):
        box.read(jwt.encode(body(**changes), key, "HS256"), Purpose.DOWNLOAD)


@given(st.text(max_size=300))
def test_any_text_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(Fault):
        TokenBox(SECRET, FakeClock()).read(text, *Purpose)


@given(st.data())
def test_no_changed_token_is_read(data: st.DataObject) -> None:
    box = TokenBox(SECRET, FakeClock())
    signed = claims()
    token = box.sign(signed)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("AZaz09-_."))
    changed = token[:at] + other + token[at + 1 :]
    # The last character of base64 has bits that mean nothing.
    assert find(box, changed) in (None, signed)


def find(box: TokenBox, token: str) -> Claims | None:
    try:
        return box.read(token, *Purpose)
    except TokenRefused:
        return None
