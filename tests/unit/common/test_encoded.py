"""Encoded bodies: opened for every address that the client may have been told, or refused."""

import base64
import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backendai.common.encoded import ENCODED_BYTES_MAX, decode_body, is_encoded
from backendai.common.faults import BadRequest
from tests.running.encoded import START, encode_body


@given(
    st.text(max_size=100),
    st.sampled_from(["h", "127.0.0.1:8080", "api.example.com"]),
    st.sampled_from(["http://{}", "http://{}/", "https://{}", "https://{}/"]),
)
def test_what_was_encoded_is_read_again(text: str, host: str, endpoint: str) -> None:
    body = encode_body(text.encode(), endpoint.format(host))
    assert decode_body(body, host) == text.encode()


def test_the_key_is_made_of_the_address() -> None:
    # As `openssl enc -aes-256-cbc -a -K <hex of aHR0cDovL2g6ODA4MA== 0123456789ab> -iv <hex>`.
    body = b"0123456789abcdef:JJPbX0QPGvThNQ+5DAdnBg=="
    assert decode_body(body, "h:8080") == b'{"a": 1}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "16 characters"),
        (b'{"a": 1}', "16 characters"),
        (START.encode() + b":", "16 characters"),
        (START.encode() + b":AAAAA", "base64"),
        (START.encode() + b":" + base64.b64encode(b"x" * 15), "another address"),
        (encode_body(b'{"a": 1}', "http://elsewhere"), "another address"),
        (b"x" * (ENCODED_BYTES_MAX + 1), "at most"),
    ],
)
def test_odd_ones_are_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        decode_body(body, "h")


@given(st.binary(max_size=60), st.text(max_size=20))
@example(b"A" * 64, "h\ud800")
def test_any_bytes_are_opened_or_refused(sealed: bytes, host: str) -> None:
    with contextlib.suppress(BadRequest):
        decode_body(START.encode() + b":" + base64.b64encode(sealed), host)


@pytest.mark.parametrize(("value", "is_so"), [("true", True), ("True", True), ("false", False)])
def test_a_header_says_that_a_body_is_encoded(value: str, is_so: bool) -> None:
    assert is_encoded({"X-BackendAI-Encoded": value}) is is_so
    assert not is_encoded({})
