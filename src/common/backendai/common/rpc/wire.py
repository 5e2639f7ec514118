"""Frames between peers: one msgpack array per message, its body spliced in without a copy.

The header is checked here, the body by the struct of its call. No extension types, no pickle.
"""

from typing import Any, Final

import msgspec

from .call import AnyCall

VERSION: Final = 1
FRAME_BYTES_MAX: Final = 32 * 1024 * 1024


class RequestFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`remaining_seconds` is how long the caller will still wait; `trace` is the id of the request,
    which ties log records, and `traceparent` the caller's span. What stands behind the body may be
    missing, and more may follow it: peers of other releases write and read less."""

    version: int
    id: int
    method: str
    remaining_seconds: float
    trace: str
    body: msgspec.Raw
    traceparent: str = ""


class ReplyFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The body is the call's reply when `is_ok`, else a FaultData."""

    version: int
    id: int
    is_ok: bool
    body: msgspec.Raw


_encoder: Final = msgspec.msgpack.Encoder()
_request_decoder: Final = msgspec.msgpack.Decoder(RequestFrame)
_reply_decoder: Final = msgspec.msgpack.Decoder(ReplyFrame)
_body_decoders: Final[dict[Any, msgspec.msgpack.Decoder[Any]]] = {}


class BadFrame(Exception):
    """Bytes that are no frame of this protocol."""


def encode_body(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))


def decode_body(kind: Any, body: msgspec.Raw) -> Any:
    """`body` as `kind`. Raises BadFrame."""
    decoder = _body_decoders.get(kind)
    if decoder is None:
        decoder = _body_decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(str(error)) from error


def encode_request(
    id_: int,
    call: AnyCall,
    remaining_seconds: float,
    trace: str,
    request: object,
    traceparent: str = "",
) -> bytes:
    body = encode_body(request)
    return _encoder.encode(
        RequestFrame(VERSION, id_, call.name, remaining_seconds, trace, body, traceparent)
    )


def decode_request(data: bytes) -> RequestFrame:
    frame: RequestFrame = _decode(_request_decoder, data)
    return frame


def encode_reply(id_: int, is_ok: bool, value: object) -> bytes:
    return _encoder.encode(ReplyFrame(VERSION, id_, is_ok, encode_body(value)))


def decode_reply(data: bytes) -> ReplyFrame:
    frame: ReplyFrame = _decode(_reply_decoder, data)
    return frame


def _decode(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    try:
        frame = decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame(str(error)) from error
    if frame.version != VERSION:
        raise BadFrame(f"version {frame.version} is not spoken here; version {VERSION} is")
    return frame
