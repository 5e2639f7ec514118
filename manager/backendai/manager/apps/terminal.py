"""A terminal: the JSON frames of the public API on one side, those of the shell's app on the other.

The shell belongs to the kernel. It outlives whoever looks at it, and several may at once.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import WSMsgType, web
from aiohttp.client_proto import ResponseHandler

from backendai.common.faults import BadRequest, Fault

from .streams import APP_ENDED, CLIENT_GONE, End

SHELL_APP: Final = "ttyd"
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
CELLS_MAX: Final = 1000
_INPUT, _CONTROL, _PING = b"\x00", b"\x01", b"\x02"
_SHELL_ENDED: Final = End(message="The shell has ended.")

Cells = Annotated[int, msgspec.Meta(ge=1, le=CELLS_MAX)]


class Stdin(msgspec.Struct, frozen=True, tag="stdin"):
    """`chars` is base64 of the bytes that were typed."""

    chars: str


class Resize(msgspec.Struct, frozen=True, tag="resize"):
    rows: Cells
    cols: Cells


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    pass


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """A new shell in place of the one that runs."""


class _Event(msgspec.Struct, frozen=True):
    event: str = ""


_FRAME: Final = msgspec.json.Decoder(Stdin | Resize | Ping | Restart)
_EVENT: Final = msgspec.json.Decoder(_Event)
Shell = aiohttp.ClientWebSocketResponse
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def attached(connection: Connection, **query: str | int) -> AsyncIterator[Shell]:
    """The shell's WebSocket, over a connection to its app. Raises BadRequest when it is none."""
    connector = _Connected(connection[1])
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.ws_connect(
                f"http://localhost/ws?{urlencode(query)}", max_msg_size=FRAME_BYTES_MAX
            ) as shell,
        ):
            yield shell
    except aiohttp.ClientError as error:
        raise BadRequest("The app does not speak as a terminal does.") from error


async def send_up(client: web.WebSocketResponse, shell: Shell, note: Callable[[], None]) -> End:
    """From the client to the shell, until either is gone. Odd frames are told, and left out."""
    try:
        async for message in client:
            if message.type is not WSMsgType.TEXT:
                continue
            note()
            try:
                await shell.send_bytes(read_frame(message.data))
            except Fault as fault:
                await client.send_str(tell_error(fault.detail))
    except ConnectionError:
        return APP_ENDED
    return CLIENT_GONE


async def send_down(shell: Shell, client: web.WebSocketResponse) -> End:
    """From the shell to the client, until either is gone or the shell has ended."""
    try:
        async for message in shell:
            if message.type is not WSMsgType.BINARY:
                continue
            kind, content = message.data[:1], message.data[1:]
            if kind == _INPUT:
                await client.send_str(tell_output(content))
            elif kind == _CONTROL and _is_end(content):
                return _SHELL_ENDED
    except ConnectionError:
        return CLIENT_GONE
    return APP_ENDED


def read_frame(text: str) -> bytes:
    """What the shell's app is told for a frame of a client. Raises BadRequest."""
    try:
        frame = _FRAME.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRequest(f"That is no frame of a terminal: {error}") from None
    if isinstance(frame, Stdin):
        try:
            return _INPUT + base64.b64decode(frame.chars, validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest("chars is not base64") from None
    if isinstance(frame, Resize):
        return _CONTROL + msgspec.json.encode({"rows": frame.rows, "cols": frame.cols})
    if isinstance(frame, Restart):
        return _CONTROL + msgspec.json.encode({"restart": True})
    return _PING


def tell_output(data: bytes) -> str:
    return _text({"type": "out", "data": base64.b64encode(data).decode("ascii")})


def tell_error(words: str) -> str:
    return _text({"type": "error", "data": words})


def _text(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()


def _is_end(content: bytes) -> bool:
    try:
        return _EVENT.decode(content).event == "exited"
    except (msgspec.MsgspecError, RecursionError):
        return False


class _Connected(aiohttp.BaseConnector):
    """Has one connection, which somebody else opened; the app says nothing before it is asked."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(force_close=True)
        self._writer = writer

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        protocol = self._factory()
        self._writer.transport.set_protocol(protocol)
        protocol.connection_made(self._writer.transport)
        return protocol
