"""Frames: what was encoded is decoded, and any other bytes are refused as such."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.rpc import wire
from backendai.common.rpc.call import Call


class Body(msgspec.Struct):
    text: str


class FrameOfTheReleaseBefore(msgspec.Struct, frozen=True, array_like=True):
    version: int
    id: int
    method: str
    remaining_seconds: float
    trace: str
    body: msgspec.Raw


CALL = Call("call", Body, Body)


@given(st.integers(0, 2**63), st.text(max_size=20), st.floats(0, 1e6), st.text(max_size=50))
def test_a_request_survives(id_: int, trace: str, remaining: float, text: str) -> None:
    frame = wire.decode_request(wire.encode_request(id_, CALL, remaining, trace, Body(text)))
    assert (frame.id, frame.method, frame.remaining_seconds, frame.trace) == (
        id_,
        "call",
        remaining,
        trace,
    )
    assert wire.decode_body(Body, frame.body) == Body(text)


def test_frames_of_other_releases_are_read() -> None:
    """Also what was written before there was anything behind the body, and after there is more."""
    old = [1, 7, "call", 1.0, "r-1", Body("x")]
    assert wire.decode_request(msgspec.msgpack.encode(old)).traceparent == ""
    told = wire.decode_request(msgspec.msgpack.encode([*old, "00-a-b-01", "of the future"]))
    assert (told.traceparent, wire.decode_body(Body, told.body)) == ("00-a-b-01", Body("x"))
    data = wire.encode_request(7, CALL, 1.0, "r-1", Body("x"), "00-a-b-01")
    assert msgspec.msgpack.decode(data, type=FrameOfTheReleaseBefore).trace == "r-1"


def test_a_reply_survives() -> None:
    frame = wire.decode_reply(wire.encode_reply(7, True, Body("x")))
    assert (frame.id, frame.is_ok, wire.decode_body(Body, frame.body)) == (7, True, Body("x"))


@given(st.binary(max_size=100))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    for decode in (wire.decode_request, wire.decode_reply):
        try:
            decode(data)
        except wire.BadFrame:
            continue


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(wire.BadFrame):
        wire.decode_request(b"\x91" * 100_000 + b"\xc0")


def test_another_version_is_refused() -> None:
    data = msgspec.msgpack.encode([2, 1, "call", 1.0, "", {}])
    with pytest.raises(wire.BadFrame, match="version 2"):
        wire.decode_request(data)
