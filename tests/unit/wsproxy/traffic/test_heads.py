import pytest

from backendai.wsproxy.traffic import heads
from backendai.wsproxy.traffic.heads import HeadReader, HeadRefused, compose_request

WHO = b"X-Forwarded-For: 192.0.2.1\r\n"


def passed_on(*lines: str) -> list[bytes]:
    """The header lines that an app gets, without those about who asks."""
    text = "".join(f"{line}\r\n" for line in ("GET /x?y HTTP/1.1", "Host: a:1", *lines))
    composed = compose_request(HeadReader().read(f"{text}\r\n".encode()), WHO)
    first, host, *rest, forwarded_host, end, behind = composed.split(b"\r\n")
    assert (first, host, end, behind) == (b"GET /x?y HTTP/1.1", b"Host: a:1", b"", b"")
    assert forwarded_host == b"X-Forwarded-Host: a:1"
    rest.remove(WHO.strip())
    return rest


@pytest.mark.parametrize(
    "line",
    [
        "User-Agent: x",
        "accept: */*",
        "Origin: http://a:1",
        "Expect: 100-continue",
        "Sec-Fetch-Site: none",
        "SEC-FETCH-MODE: cors",
        "Authorization: token abc",
        "X-Forwarded: kept, as nobody means anything by it",
    ],
)
def test_headers_pass_as_they_were_written(line: str) -> None:
    assert passed_on(line) == [line.encode()]


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 198.51.100.1",
        "x-forwarded-anything: 1",
        "X-BackendAI-SessionID: 1",
        "X_Forwarded_For: 1",
        "Content_Length: 1",
        "Forwarded: for=a",
        "Keep-Alive: 1",
        "TE: trailers",
        "Authorization: BackendAI signMethod=x",
        "Cookie: told by who asks",
    ],
)
def test_what_is_ours_or_between_neighbours_stays_here(line: str) -> None:
    assert passed_on(line) == []


def test_a_header_that_the_connection_names_ends_here() -> None:
    assert passed_on("Connection: X-Mine, keep-alive", "X-Mine: 1", "X-Other: 2") == [b"X-Other: 2"]


def test_names_are_judged_the_same_the_second_time() -> None:
    first = passed_on("Accept: a", "X-Real-IP: b", "Spelt: c")
    assert (
        passed_on("Accept: a", "X-Real-IP: b", "Spelt: c") == first == [b"Accept: a", b"Spelt: c"]
    )


def test_names_that_somebody_makes_up_take_no_memory() -> None:
    for number in range(heads._NAMES_KNOWN_MAX * 2):
        assert passed_on(f"X-Made-Up-{number}: 1", f"X-Backendai-{number}: 1")[1:] == []
    assert len(heads._FATES) <= heads._NAMES_KNOWN_MAX
    assert passed_on("X-Late: 1", "X-Forwarded-Late: 2") == [b"X-Late: 1"]


def test_two_headers_of_a_name_that_may_come_once_are_refused() -> None:
    with pytest.raises(HeadRefused, match="two headers origin"):
        passed_on("Origin: http://a", "Origin: http://b")
