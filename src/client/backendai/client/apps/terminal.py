"""The shell of a session, from outside: bytes typed, bytes shown, sizes."""

import base64
import binascii
from collections.abc import AsyncIterator

import msgspec

from backendai.client.channel import decode
from backendai.client.faults import UnexpectedAnswer
from backendai.client.transport import Closing, Socket


class _Frame(msgspec.Struct, frozen=True):
    type: str
    data: str = ""


class Terminal:
    """One view of a shell, which goes on without it. Iterating gives what is to be shown."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    @property
    def closing(self) -> Closing:
        """Once iterating has ended: code 1000 where the shell itself has."""
        return self._socket.closing

    async def type(self, data: bytes) -> None:
        await self._send({"type": "stdin", "chars": base64.b64encode(data).decode("ascii")})

    async def resize(self, rows: int, cols: int) -> None:
        await self._send({"type": "resize", "rows": rows, "cols": cols})

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for text in self._socket:
            frame = decode(_Frame, text.encode())
            if frame.type == "out":
                yield _bytes_of(frame.data)

    async def _send(self, frame: dict[str, str | int]) -> None:
        await self._socket.write(msgspec.json.encode(frame).decode())


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnexpectedAnswer("What the shell shows is not base64.") from error
