"""Frames: what goes in comes out, and nothing else gets in."""

import pytest

from backendai.kernel import wire
from backendai.kernel.wire import FrameError, Reply, Request

ASKS: list[wire.Ask] = [
    wire.Hello(),
    wire.Execute(run_id="r", mode="query", code="1", options=wire.BatchOptions(exec="*"), after=3),
    wire.Interrupt(),
    wire.Complete(code="a", row=1, col=2, line="l", post="p"),
    wire.Upload(path="p", offset=1, data=b"\x00\xff", last=True),
    wire.Download(path="p", offset=5),
    wire.ListFiles(path="."),
    wire.Status(),
    wire.Shutdown(),
]
ANSWERS: list[wire.Answer] = [
    wire.HelloReply(version=1, pid=2, python="", query_ready=True, started_at=1.5),
    wire.ExecuteReply(
        run_id="r",
        status="waiting-input",
        sequence=1,
        console=[("stdout", "é"), ("media", ("image/png", "aGk="))],
        options={"is_password": True},
    ),
    wire.CompleteReply(["a"]),
    wire.DownloadReply(data=b"x", total_bytes=1, last=True),
    wire.Failure("busy", "wait"),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: type(ask).__name__)
def test_a_request_survives_its_frame(ask: wire.Ask) -> None:
    frame = wire.encode_frame(Request(5, ask))
    assert wire.decode_length(frame[:4]) == len(frame) - 4
    assert wire.decode_request(frame[4:]) == Request(5, ask)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_a_reply_survives_its_frame(answer: wire.Answer) -> None:
    frame = wire.encode_frame(Reply(5, answer))
    assert wire.decode_reply(frame[4:]) == Reply(5, answer)


@pytest.mark.parametrize("head", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\x01"])
def test_a_length_out_of_bounds_is_refused(head: bytes) -> None:
    with pytest.raises(FrameError):
        wire.decode_length(head)


def test_a_message_over_the_limit_is_not_encoded() -> None:
    piece = wire.Upload(path="p", offset=0, data=bytes(wire.FRAME_BYTES_MAX), last=True)
    with pytest.raises(FrameError, match="over the limit"):
        wire.encode_frame(Request(1, piece))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"abc", b"\x91" * 5000, b"\x80"])
def test_garbage_is_refused_at_both_ends(payload: bytes) -> None:
    with pytest.raises(FrameError):
        wire.decode_request(payload)
    with pytest.raises(FrameError):
        wire.decode_reply(payload)
    assert wire.find_request_id(payload) is None


def test_every_ask_and_answer_has_a_tag_of_its_own() -> None:
    tags = [type(message).__struct_config__.tag for message in [*ASKS, *ANSWERS]]
    assert len(tags) == len(set(tags))
