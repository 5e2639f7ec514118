"""The gate of a CURVE socket: only keys on the allow-list finish the handshake.

The caller's public key becomes the connection's user id, so a handler knows who asks.
"""

from collections.abc import Callable, Collection
from typing import Final

import zmq
from zmq.utils import z85

from ..logs import get_logger
from .sockets import LoopSocket

log = get_logger(__name__)

_ENDPOINT: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"

AllowedClients = Collection[str] | Callable[[str], bool]


class Gate:
    """Answers the handshake questions of every CURVE server socket in `context`."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", allowed: AllowedClients) -> None:
        self._is_allowed = allowed if callable(allowed) else frozenset(allowed).__contains__
        socket = context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(_ENDPOINT)
        self._socket = LoopSocket(socket, self._answer)

    def close(self) -> None:
        self._socket.close()

    def _answer(self, frames: list[zmq.Frame]) -> None:
        parts = [frame.bytes for frame in frames]
        envelope, request = parts[: parts.index(b"") + 1], parts[parts.index(b"") + 1 :]
        user = self._user_of(request)
        status, text = (b"200", b"OK") if user else (b"400", b"this key may not connect")
        self._socket.send([*envelope, _VERSION, request[1], status, text, user.encode(), b""])

    def _user_of(self, request: list[bytes]) -> str:
        version, _id, _domain, address, _identity, mechanism, *credentials = request
        if version != _VERSION or mechanism != b"CURVE" or len(credentials) != 1:
            log.warning(
                "rpc.client_refused", address=address.decode(), mechanism=mechanism.decode()
            )
            return ""
        key = z85.encode(credentials[0]).decode("ascii")
        if not self._is_allowed(key):
            log.warning("rpc.client_refused", address=address.decode(), public_key=key)
            return ""
        return key
