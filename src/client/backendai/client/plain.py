"""Requests through the standard library: what the command uses, because it is ready at once.

Each request has a thread and a connection of its own; many at a time are the work of `web`.
"""

import asyncio
import http.client
import socket
from urllib.parse import urlsplit

from backendai.client.config import Config
from backendai.client.faults import ConnectionLost, Unreachable, WaitedTooLong
from backendai.client.transport import Answer, Request


class PlainTransport:
    """A Transport on http.client."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def send(self, request: Request) -> Answer:
        connection = self._connection(request.address)
        work = asyncio.get_running_loop().run_in_executor(None, _exchange, connection, request)
        try:
            return await work
        except asyncio.CancelledError:
            # The thread sits in a read: closing the socket's both ways ends it.
            if connection.sock is not None:
                _shut(connection.sock)
            raise

    async def close(self) -> None:
        """Connections end with their requests."""

    def _connection(self, address: str) -> http.client.HTTPConnection:
        parts = urlsplit(address)
        seconds = self._config.connect_seconds
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.netloc, timeout=seconds)
        return http.client.HTTPSConnection(
            parts.netloc, timeout=seconds, context=self._config.make_tls_context()
        )


def _exchange(connection: http.client.HTTPConnection, request: Request) -> Answer:
    try:
        connection.connect()
    except OSError as error:
        raise Unreachable(
            f"{request.address}: {error.strerror or error}", {"address": request.address}
        ) from error
    try:
        connection.sock.settimeout(request.timeout_seconds)
        connection.request(request.method, request.target, request.body, dict(request.headers))
        response = connection.getresponse()
        headers = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, headers, response.read())
    except TimeoutError as error:
        raise WaitedTooLong(f"No answer within {request.timeout_seconds} s.") from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(f"{request.address}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
