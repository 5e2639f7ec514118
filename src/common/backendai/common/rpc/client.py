"""The asking end of a contract: many calls at once over one DEALER, which reconnects by itself.

What cannot be sent yet waits here and is dropped at its deadline, so a peer that comes back is not
met with requests that nobody waits for any more. What was sent fails when its connection breaks,
since no reply can come over another one. Nothing is retried here: the caller knows what is safe.
"""

import asyncio
import itertools
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, cast

import zmq
from zmq.utils.monitor import parse_monitor_message

from ..failpoints import failpoint
from ..faults import (
    AgentConnectionLost,
    AgentInvalidInput,
    AgentTimeout,
    FaultData,
    InternalError,
    fault_from_data,
)
from ..logs import context_field, get_logger
from ..spans import SpanKind
from ..tracing import span, traceparent
from . import wire
from .call import Call, Rep, Req
from .curve import KeyPair
from .sockets import LoopSocket, Outgoing, prepare_socket, shared_context

log = get_logger(__name__)

_event_numbers: Final = itertools.count(1)
_BROKEN: Final = zmq.Event.DISCONNECTED
_CONNECTED: Final = zmq.Event.HANDSHAKE_SUCCEEDED


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[wire.ReplyFrame]
    message: Outgoing | None = None
    timer: asyncio.TimerHandle | None = None


class RpcPeer:
    """The server at `address` (`tcp://host:port`), known by its public key.

    Both keys None means no encryption, for tests on one machine only.
    """

    def __init__(
        self, address: str, server_public_key: str | None, keypair: KeyPair | None
    ) -> None:
        if (server_public_key is None) != (keypair is None):
            raise ValueError("give both the server's public key and a key pair, or neither")
        self.address = address
        self._server_public_key = server_public_key
        self._keypair = keypair
        self._socket: LoopSocket | None = None
        self._events: LoopSocket | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._is_closed = False

    async def ask(
        self, call: Call[Req, Rep], request: Req, timeout_seconds: float | None = None
    ) -> Rep:
        """The reply to `request`; raises the handler's fault, or AgentTimeout without a reply:
        AgentConnectionLost when it is the connection that ended.
        """
        limit = call.deadline_seconds if timeout_seconds is None else timeout_seconds
        facts = {"rpc.method": call.name, "server.address": self.address}
        with span(f"rpc {call.name}", SpanKind.CLIENT, facts, begins_trace=not call.is_poll):
            return await self._ask(call, request, limit)

    async def _ask(self, call: Call[Req, Rep], request: Req, limit: float) -> Rep:
        await failpoint("rpc.client.before_send")
        frame = await self._exchange(call, request, limit)
        await failpoint("rpc.client.after_reply")
        try:
            if frame.is_ok:
                return cast(Rep, wire.decode_body(call.reply, frame.body))
            fault: FaultData = wire.decode_body(FaultData, frame.body)
        except wire.BadFrame as error:
            log.warning("rpc.bad_reply", method=call.name, address=self.address, detail=str(error))
            raise InternalError(
                f"{self.address} gave an unreadable reply to {call.name}"
            ) from error
        raise fault_from_data(fault)

    async def close(self) -> None:
        """Disconnect; calls that wait end with AgentConnectionLost."""
        self._is_closed = True
        for id_ in list(self._waiting):
            lost = AgentConnectionLost(f"the connection to {self.address} was closed")
            self._fail(id_, lost)
        if self._socket is not None and self._events is not None:
            # Nobody would read an event any more, and the library's thread waits for a reader.
            self._socket.end_monitor()
            self._events.close()
            self._socket.close()
        self._events = self._socket = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _exchange(self, call: Call[Any, Any], request: Any, limit: float) -> wire.ReplyFrame:
        loop, id_ = asyncio.get_running_loop(), next(self._ids)
        request_id = str(context_field("request_id") or "")
        data = wire.encode_request(id_, call, limit, request_id, request, traceparent())
        if len(data) > wire.FRAME_BYTES_MAX:
            raise AgentInvalidInput(f"{call.name}: a request of {len(data)} bytes is too large")
        waiting = self._waiting[id_] = _Waiting(loop.create_future())
        late = AgentTimeout(f"{call.name}: no reply from {self.address} within {limit:g} s")
        waiting.timer = loop.call_later(limit, self._fail, id_, late)
        try:
            waiting.message = self._connected().send([data])
            return await waiting.future
        finally:
            self._forget(id_, waiting)

    def _connected(self) -> LoopSocket:
        if self._is_closed:
            raise AgentConnectionLost(f"the connection to {self.address} was closed")
        if self._socket is None:
            socket = self._open()
            # The library would name it by a descriptor, which the next socket may have again.
            name = f"inproc://rpc.events.{next(_event_numbers)}"
            events = socket.get_monitor_socket(_BROKEN | _CONNECTED, name)
            try:
                socket.connect(self.address)
            except zmq.ZMQError as error:
                socket.disable_monitor()
                events.close()
                socket.close()
                raise AgentConnectionLost(f"{self.address} is no address: {error}") from error
            self._socket = LoopSocket(socket, self._receive)
            self._events = LoopSocket(events, self._heed)
        return self._socket

    def _open(self) -> "zmq.Socket[bytes]":
        socket = shared_context().socket(zmq.DEALER)
        prepare_socket(socket, self.address)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
        if self._keypair is not None and self._server_public_key is not None:
            socket.curve_publickey = self._keypair.public.encode("ascii")
            socket.curve_secretkey = self._keypair.secret.encode("ascii")
            socket.curve_serverkey = self._server_public_key.encode("ascii")
        return socket

    def _receive(self, frames: list[zmq.Frame]) -> None:
        try:
            frame = wire.decode_reply(frames[-1].bytes)
        except wire.BadFrame as error:
            log.warning("rpc.bad_frame", address=self.address, detail=str(error))
            return
        waiting = self._waiting.get(frame.id)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_result(frame)

    def _heed(self, frames: list[zmq.Frame]) -> None:
        """Nothing is sent from a break until there is a new connection: the socket would still
        take a message for a while, and lose it."""
        if self._socket is None:
            return
        if parse_monitor_message([frame.bytes for frame in frames])["event"] == _CONNECTED:
            self._socket.release()
            return
        self._socket.hold()
        for id_, waiting in list(self._waiting.items()):
            if waiting.message is not None and waiting.message.is_sent:
                broken = f"the connection to {self.address} broke before the reply"
                self._fail(id_, AgentConnectionLost(broken))

    def _fail(self, id_: int, fault: AgentTimeout) -> None:
        waiting = self._waiting.get(id_)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_exception(fault)

    def _forget(self, id_: int, waiting: _Waiting) -> None:
        del self._waiting[id_]
        if waiting.timer is not None:
            waiting.timer.cancel()
        if waiting.message is not None:
            waiting.message.cancel()
