"""What all proxies of the bench lead to, as a process: `python -m tests.bench.origin PORT`.

It answers HTTP, upgrades to an echo, echoes what is no HTTP, and takes the greeting of a relay's
client where one comes, so that every proxy has the same behind it.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final, cast

import uvloop

LARGE_BYTES: Final = 256 << 20
_SMALL: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_LARGE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES
_ACCEPT: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)
_PIECE: Final = b"x" * (256 << 10)


class Origin(asyncio.Protocol):
    def __init__(self) -> None:
        self._reading: Callable[[bytes], None] = self._read_first
        self._left = 0
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reading(data)

    def _read_first(self, data: bytes) -> None:
        if data.startswith(b"BAI1 "):
            self._transport.write(b"BAI1 ok\n")
            data = data.partition(b"\n")[2]
            if not data:
                return
        self._reading = self._read_http if data[:3] == b"GET" else self._echo
        self._reading(data)

    def _echo(self, data: bytes) -> None:
        self._transport.write(data)

    def _read_http(self, data: bytes) -> None:
        if data.startswith(b"GET /large"):
            self._left = LARGE_BYTES
            self._transport.write(_LARGE)
            self._send()
        elif data.startswith(b"GET /ws"):
            self._transport.write(_ACCEPT)
            self._reading = self._echo
        else:
            self._transport.write(_SMALL * data.count(b"\r\n\r\n"))

    def _send(self) -> None:
        while self._left and not self._is_held:
            self._left -= len(_PIECE)
            self._transport.write(_PIECE)

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self._send()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
