"""The channel: targets and signatures, repetition after broken connections, faults."""

from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.client.channel import Call, decode, path_of
from backendai.client.faults import BadUsage, ConnectionLost, UnexpectedAnswer, Unreachable
from backendai.client.sessions import Sessions
from backendai.client.transport import Answer, Request
from backendai.common.faults import (
    AuthFailed,
    Fault,
    Forbidden,
    GraphQLFault,
    Kind,
    QuotaExceeded,
    SessionNotFound,
)
from backendai.common.signing import SignedRequest, SignMethod, parse_authorization, verify
from tests.unit.client.scripted import SECRET, open_channel, refuse


def check_signature(request: Request, content_type: str) -> None:
    """As a server does, from what is on the wire alone."""
    claimed = SignedRequest(
        method=request.method,
        target=request.target,
        date_text=request.headers["Date"],
        host=request.headers["Host"],
        content_type=content_type,
        version=request.headers["X-BackendAI-Version"],
    )
    verify(claimed, parse_authorization(request.headers["Authorization"]), SECRET)


async def test_a_request_is_addressed_and_signed() -> None:
    channel, transport = open_channel()
    await channel.ask(Call(method="POST", path="/session", json={"name": "a"}))
    (request,) = transport.sent
    assert (request.address, request.target) == ("http://h:8081", "/session")
    assert request.headers["X-BackendAI-Domain"] == "lab"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == b'{"name":"a"}'
    check_signature(request, "application/json")


async def test_a_base_path_is_part_of_the_signed_target() -> None:
    channel, transport = open_channel(endpoints=("https://h:443/base",))
    await channel.ask(Call(method="GET", path="/session", query={"a": "b c", "left_out": None}))
    (request,) = transport.sent
    assert (request.address, request.target) == ("https://h", "/base/session?a=b+c")
    check_signature(request, "text/plain")


@given(session=st.text(min_size=1), value=st.text())
async def test_any_name_survives_the_way_into_a_target(session: str, value: str) -> None:
    name = session.encode("utf-8", "replace").decode()
    text = value.encode("utf-8", "replace").decode()
    channel, transport = open_channel()
    await channel.ask(Call(method="GET", path=path_of("session", name), query={"name": text}))
    target = transport.sent[0].target
    assert target.isascii()
    parts = urlsplit(f"http://h{target}")
    assert unquote(parts.path.removeprefix("/session/")) == name
    assert parse_qsl(parts.query, keep_blank_values=True) == [("name", text)]
    check_signature(transport.sent[0], "text/plain")


async def test_multipart_is_signed_without_its_boundary_and_upgrades_without_a_type() -> None:
    channel, transport = open_channel()
    form = "multipart/form-data; boundary=x"
    await channel.ask(Call(method="POST", path="/a", body=b"-", content_type=form))
    await channel.ask(Call(method="GET", path="/b", content_type=""))
    assert transport.sent[0].headers["Content-Type"] == form
    check_signature(transport.sent[0], "multipart/form-data")
    assert "Content-Type" not in transport.sent[1].headers
    check_signature(transport.sent[1], "application/octet-stream")


async def test_the_second_form_covers_the_body() -> None:
    channel, transport = open_channel(signs_body=True)
    await channel.ask(Call(method="POST", path="/session", json={}))
    headers = transport.sent[0].headers
    assert parse_authorization(headers["Authorization"]).method is SignMethod.BODY
    assert len(headers["X-BackendAI-Nonce"]) >= 16


async def test_a_repeatable_call_goes_on_after_a_lost_connection() -> None:
    channel, transport = open_channel(
        ConnectionLost("reset"), Unreachable("refused"), Answer(200, body=b'{"a": 1}')
    )
    answer = await channel.ask(Call(method="GET", path="/", repeatable=True))
    assert answer.body == b'{"a": 1}'
    assert len(transport.sent) == 3


async def test_a_repetition_ends_after_its_time() -> None:
    channel, transport = open_channel(ConnectionLost("reset"))
    with pytest.raises(ConnectionLost):
        await channel.ask(Call(method="GET", path="/", repeatable=True))
    allowed = channel.config.retry_seconds
    assert allowed <= channel.clock.monotonic() <= allowed + 1
    assert len(transport.sent) > 10


async def test_what_may_not_happen_twice_is_not_repeated() -> None:
    channel, transport = open_channel(ConnectionLost("reset"), Answer(204))
    with pytest.raises(ConnectionLost):
        await channel.ask(Call(method="PATCH", path="/session/a"))
    assert len(transport.sent) == 1


async def test_each_address_is_tried_once_when_nothing_listens() -> None:
    addresses = ("http://a", "http://b")
    channel, transport = open_channel(Unreachable("refused"), endpoints=addresses)
    with pytest.raises(Unreachable):
        await channel.ask(Call(method="GET", path="/", repeatable=True))
    assert [request.address for request in transport.sent] == ["http://a", "http://b"]


@pytest.mark.parametrize(
    "fault", [AuthFailed("Signature mismatch"), SessionNotFound(), QuotaExceeded("cpu: 2 of 1")]
)
async def test_the_servers_fault_is_raised_as_its_class(fault: Fault) -> None:
    channel, _ = open_channel(refuse(fault))
    with pytest.raises(type(fault)) as caught:
        await channel.ask(Call(method="GET", path="/"))
    assert caught.value.detail == fault.detail


@pytest.mark.parametrize(
    ("status", "kind"), [(502, Kind.UNAVAILABLE), (404, Kind.NOT_FOUND), (500, Kind.INTERNAL)]
)
async def test_an_answer_of_a_stranger_is_a_fault_of_its_status(status: int, kind: Kind) -> None:
    channel, _ = open_channel(Answer(status, body=b"<html>no</html>"))
    with pytest.raises(Fault) as caught:
        await channel.ask(Call(method="GET", path="/"))
    assert caught.value.kind is kind


async def test_a_redirection_is_no_answer() -> None:
    channel, _ = open_channel(Answer(302))
    with pytest.raises(UnexpectedAnswer):
        await channel.ask(Call(method="GET", path="/"))


async def test_graphql_errors_are_raised_with_their_messages() -> None:
    body = msgspec.json.encode({"data": None, "errors": [{"message": "no such field"}]})
    channel, _ = open_channel(Answer(200, body=body))
    with pytest.raises(GraphQLFault, match="no such field"):
        await channel.query("query { a }", {})


def test_wrong_json_is_an_unexpected_answer() -> None:
    with pytest.raises(UnexpectedAnswer):
        decode(dict[str, int], b'{"a": "b"}')


def test_an_empty_name_makes_no_path() -> None:
    with pytest.raises(BadUsage, match="empty"):
        path_of("session", "")


@pytest.mark.parametrize("refusal", [SessionNotFound(), Forbidden("It is TERMINATING.")])
async def test_an_end_whose_answer_was_lost_is_done_when_the_session_ends(refusal: Fault) -> None:
    ending = Answer(200, body=b'{"status": "TERMINATING", "image": "x"}')
    channel, transport = open_channel(ConnectionLost("cut"), refuse(refusal), ending)
    await Sessions(channel).destroy("a")
    assert [request.method for request in transport.sent][:2] == ["DELETE", "DELETE"]


async def test_an_end_that_was_asked_once_tells_what_is_wrong() -> None:
    channel, _ = open_channel(refuse(SessionNotFound()))
    with pytest.raises(SessionNotFound):
        await Sessions(channel).destroy("a")


async def test_a_repeated_end_that_is_forbidden_while_it_runs_tells_so() -> None:
    running = Answer(200, body=b'{"status": "PREPARING", "image": "x"}')
    refusal = refuse(Forbidden("only a forced end"))
    channel, _ = open_channel(ConnectionLost("cut"), refusal, running)
    with pytest.raises(Forbidden):
        await Sessions(channel).destroy("a")
