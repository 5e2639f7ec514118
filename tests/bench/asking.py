"""One request again and again over one connection, so cheaply that servers are the limit."""

import asyncio
import re
from typing import Final

from backendai.common.settings.checks import HostPort

_LENGTH: Final = re.compile(rb"(?i)content-length: (\d+)")


async def ask_again(address: HostPort, request: bytes, times: int) -> None:
    """Over one connection. Raises AssertionError for an answer that is not 200."""
    loop = asyncio.get_running_loop()
    _, asker = await loop.create_connection(
        lambda: _Asker(request, times), address.host, address.port
    )
    await asker.done


class _Asker(asyncio.Protocol):
    """Asks one thing again and again, with little work between, so that servers are the limit."""

    def __init__(self, request: bytes, times: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._left = times
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < int(_LENGTH.findall(head)[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(AssertionError(head.decode()))
            self._transport.close()
            return
        self._received = b""
        self._left -= 1
        if self._left:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
