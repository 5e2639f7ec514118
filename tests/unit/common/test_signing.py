"""Signatures: an independent statement of the algorithm, then everything that must not pass."""

import hashlib
import hmac
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from backendai.common.faults import AuthFailed, Fault, InvalidAuthParams
from backendai.common.signing import (
    Credential,
    SignedRequest,
    SignMethod,
    body_sha256,
    check_date,
    date_text_of,
    parse_authorization,
    parse_date,
    read_signed_request,
    sign,
    signed_headers,
    verify,
)

NOW = datetime(2026, 11, 21, 19, 29, 33, 868086, tzinfo=UTC)
ACCESS_KEY, SECRET_KEY = "AKIA0123456789ABCDEF", "s3cr3t-of-a-user"
REQUEST = SignedRequest(
    method="GET",
    target="/stream/session/s1/tcpproxy?app=jupyter&envs=%7B%22X%22:+%221%22%7D",
    date_text=NOW.isoformat(),
    host="127.0.0.1:8081",
    content_type="application/octet-stream",
    version="v7.20230615",
)
BODY_REQUEST = replace(REQUEST, nonce="n" * 22, body_sha256=body_sha256(b'{"a": 1}'))
wire_text = st.text(string.printable, max_size=40)


def credential(request: SignedRequest, method: SignMethod = SignMethod.HEADERS) -> Credential:
    return Credential(method, ACCESS_KEY, sign(request, SECRET_KEY, method))


def test_the_signature_is_the_one_that_clients_make() -> None:
    """The steps of the public algorithm, written out once more."""
    text = (
        "GET\n/stream/session/s1/tcpproxy?app=jupyter&envs=%7B%22X%22:+%221%22%7D\n"
        "2026-11-21T19:29:33.868086+00:00\nhost:127.0.0.1:8081\n"
        "content-type:application/octet-stream\nx-backendai-version:v7.20230615\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    key = hmac.new(SECRET_KEY.encode(), b"20261121", hashlib.sha256).digest()
    key = hmac.new(key, b"127.0.0.1:8081", hashlib.sha256).digest()
    assert sign(REQUEST, SECRET_KEY) == hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_the_day_of_the_key_is_that_of_the_dates_own_offset() -> None:
    east = datetime(2026, 11, 22, 1, 0, tzinfo=timezone(timedelta(hours=9)))
    in_utc = east.astimezone(UTC)
    same = sign(replace(REQUEST, date_text=in_utc.isoformat()), SECRET_KEY)
    assert sign(replace(REQUEST, date_text=east.isoformat()), SECRET_KEY) != same


@given(
    wire_text,
    st.sampled_from(SignMethod),
    st.sampled_from(["method", "target", "host", "content_type", "version"]),
)
def test_any_change_of_what_is_signed_is_refused(
    change: str, method: SignMethod, field: str
) -> None:
    signed = credential(BODY_REQUEST, method)
    verify(BODY_REQUEST, signed, SECRET_KEY)
    old = getattr(BODY_REQUEST, field)
    forged = replace(BODY_REQUEST, **{field: old + change})
    if forged == BODY_REQUEST or (field == "method" and (old + change).upper() == old):
        return
    if field == "host" and forged.host + ":80" == BODY_REQUEST.host:
        return
    with pytest.raises(AuthFailed, match="Signature mismatch"):
        verify(forged, signed, SECRET_KEY)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_only_the_second_form_covers_the_body(body: bytes, other: bytes) -> None:
    request = replace(BODY_REQUEST, body_sha256=body_sha256(body))
    swapped = replace(BODY_REQUEST, body_sha256=body_sha256(other))
    verify(swapped, credential(request), SECRET_KEY)
    if body != other:
        with pytest.raises(AuthFailed):
            verify(swapped, credential(request, SignMethod.BODY), SECRET_KEY)
    with pytest.raises(AuthFailed):
        verify(replace(request, nonce="m" * 22), credential(request, SignMethod.BODY), SECRET_KEY)


def test_a_signature_of_one_form_is_none_of_the_other() -> None:
    signed = credential(BODY_REQUEST, SignMethod.HEADERS)
    with pytest.raises(AuthFailed):
        verify(BODY_REQUEST, replace(signed, method=SignMethod.BODY), SECRET_KEY)


def test_the_default_port_may_be_signed() -> None:
    signed = credential(replace(REQUEST, host="api.example.com:443"))
    verify(replace(REQUEST, host="api.example.com"), signed, SECRET_KEY)
    with pytest.raises(AuthFailed):
        verify(replace(REQUEST, host="api.example.com:8081"), signed, SECRET_KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s[:8],
        lambda s: s.upper(),
        lambda s: s + "0",
        lambda s: "é" + s[1:],
        lambda s: "\udc80" + s[1:],
        lambda s: " " + s,
        lambda s: "0" * 64,
    ],
)
def test_a_signature_that_is_not_exactly_right_is_refused(change: object) -> None:
    signed = credential(REQUEST)
    assert callable(change)
    with pytest.raises(AuthFailed, match="Signature mismatch"):
        verify(REQUEST, replace(signed, signature=change(signed.signature)), SECRET_KEY)


@given(st.text(max_size=80))
@example("\ud800")
@example("")
def test_any_text_as_a_signature_is_refused_without_an_error(text: str) -> None:
    with pytest.raises(Fault):
        verify(REQUEST, Credential(SignMethod.HEADERS, ACCESS_KEY, text), SECRET_KEY)


def test_another_users_secret_is_refused() -> None:
    with pytest.raises(AuthFailed):
        verify(REQUEST, credential(REQUEST), SECRET_KEY + "x")


@pytest.mark.parametrize(
    "word",
    [
        "HMAC-MD5",
        "HMAC-SHA1",
        "HMAC-SHAKE_128",
        "none",
        "HMAC-SHA256-X",
        "hmac-sha256",
        "HMAC-SHA256\0",
    ],
)
def test_only_listed_sign_methods_are_allowed(word: str) -> None:
    with pytest.raises(AuthFailed, match="HMAC-SHA256, BAI-HMAC-SHA256-V2"):
        parse_authorization(f"BackendAI signMethod={word}, credential=AK:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BackendAI",
        "Basic dXNlcjpwYXNz",
        "backendai signMethod=HMAC-SHA256, credential=AK:00",
        "BackendAI signMethod=HMAC-SHA256",
        "BackendAI credential=AK:00",
        "BackendAI signMethod=HMAC-SHA256, credential=AK",
        "BackendAI signMethod=HMAC-SHA256, credential=:00",
        "BackendAI signMethod=HMAC-SHA256, credential=AK:",
        "BackendAI signMethod=HMAC-SHA256, credential=A K:00",
        "BackendAI signMethod=HMAC-SHA256, credential=A'--:00",
        "BackendAI " + "x" * 65536,
    ],
)
def test_a_malformed_authorization_is_a_clear_fault(text: str) -> None:
    with pytest.raises(InvalidAuthParams) as caught:
        parse_authorization(text)
    assert caught.value.detail


@given(st.text(max_size=200))
def test_any_authorization_is_read_or_refused(text: str) -> None:
    try:
        parse_authorization(text)
    except (InvalidAuthParams, AuthFailed):
        return


@pytest.mark.parametrize("scheme", ["BackendAI", "Sorna"])
def test_both_schemes_are_read(scheme: str) -> None:
    read = parse_authorization(f"{scheme} signMethod=HMAC-SHA256,credential=AK:0a")
    assert read == Credential(SignMethod.HEADERS, "AK", "0a")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T19:29:33.868086+00:00",
        "2026-11-21T19:29:33+00:00",
        "2026-11-21T19:29:33Z",
        "20261121T192933Z",
        "2026-11-22T04:29:33+09:00",
        "Sat, 21 Nov 2026 19:29:33 GMT",
        "Sat, 21 Nov 2026 20:29:33 +0100",
        "2026-11-21T19:29:33",
    ],
)
def test_dates_are_read_liberally(text: str) -> None:
    assert abs(parse_date(text) - NOW) < timedelta(seconds=1)
    check_date(text, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "tomorrow",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2026-13-01",
        "1" * 100_000,
        "1763753373",
        "Sat, 99 Nov 2026 19:29:33 GMT",
        "\0",
        "２０２６-11-21",
    ],
)
def test_what_is_no_near_date_is_a_clear_fault(text: str) -> None:
    with pytest.raises(InvalidAuthParams, match="sync error"):
        check_date(text, NOW)


@pytest.mark.parametrize(("method", "minutes"), [(SignMethod.HEADERS, 15), (SignMethod.BODY, 5)])
@pytest.mark.parametrize("sign_", [-1, 1])
def test_the_window_ends_where_it_says(method: SignMethod, minutes: int, sign_: int) -> None:
    edge = NOW + sign_ * timedelta(minutes=minutes)
    check_date(edge.isoformat(), NOW, method)
    with pytest.raises(InvalidAuthParams) as caught:
        check_date((edge + sign_ * timedelta(seconds=1)).isoformat(), NOW, method)
    assert caught.value.facts["serverTime"] == NOW.isoformat()


@given(st.text(max_size=70))
def test_any_date_text_is_read_or_refused(text: str) -> None:
    try:
        check_date(text, NOW)
    except InvalidAuthParams:
        return


def headers_of(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict([("Host", REQUEST.host), *pairs])


@pytest.mark.parametrize("method", SignMethod)
@pytest.mark.parametrize("body", [b"", b'{"a": 1}'])
def test_what_a_client_signs_a_server_verifies(method: SignMethod, body: bytes) -> None:
    request = replace(
        BODY_REQUEST, content_type="application/json", body_sha256=body_sha256(body), method="POST"
    )
    made = signed_headers(request, ACCESS_KEY, SECRET_KEY, method)
    headers = headers_of(*made.items(), ("Content-Type", "application/json"))
    read, found = read_signed_request("POST", request.target, headers, body)
    assert found.access_key == ACCESS_KEY
    check_date(read.date_text, NOW, found.method)
    verify(read, found, SECRET_KEY)


def test_the_content_type_counts_without_its_parameters() -> None:
    request = replace(REQUEST, content_type="multipart/form-data")
    made = signed_headers(request, ACCESS_KEY, SECRET_KEY)
    headers = headers_of(*made.items(), ("Content-Type", "Multipart/Form-Data; boundary=xyz"))
    read, found = read_signed_request("GET", request.target, headers)
    verify(read, found, SECRET_KEY)


def test_the_old_version_header_changes_its_line() -> None:
    request = replace(REQUEST, version_header="X-Sorna-Version")
    made = signed_headers(request, ACCESS_KEY, SECRET_KEY)
    assert "X-Sorna-Version" in made
    read, found = read_signed_request("GET", request.target, headers_of(*made.items()))
    assert read.version_header == "X-Sorna-Version"
    verify(read, found, SECRET_KEY)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("Date", NOW.isoformat()), ("Date", (NOW + timedelta(seconds=1)).isoformat())],
        [("Date", NOW.isoformat()), ("X-BackendAI-Date", "2026-11-21")],
        [("Date", " ")],
    ],
)
def test_a_request_has_exactly_one_date(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidAuthParams):
        date_text_of(headers_of(*pairs))


@pytest.mark.parametrize("name", ["Date", "X-BackendAI-Date", "X-Sorna-Date"])
def test_any_date_header_serves_alone(name: str) -> None:
    assert date_text_of(headers_of((name, NOW.isoformat()))) == NOW.isoformat()


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, "a" * 15 + "\n", "ä" * 20])
def test_the_second_form_needs_a_sound_nonce(nonce: str) -> None:
    made = signed_headers(
        replace(BODY_REQUEST, nonce=nonce), ACCESS_KEY, SECRET_KEY, SignMethod.BODY
    )
    with pytest.raises(InvalidAuthParams, match="X-BackendAI-Nonce"):
        read_signed_request("GET", REQUEST.target, headers_of(*made.items()))


def test_header_bytes_that_are_no_text_are_refused_without_an_error() -> None:
    request = replace(REQUEST, target="/\udcff", host="h\udc80")
    verify(request, credential(request), SECRET_KEY)
    with pytest.raises(InvalidAuthParams):
        sign(replace(REQUEST, target="/\ud800"), SECRET_KEY)
