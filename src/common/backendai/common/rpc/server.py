"""The answering end of a contract: a ROUTER that runs one task per request.

A handler's Fault travels to the caller; anything else becomes an internal fault without detail and
is logged here, once, whole. Many requests of one peer may wait at the same time, up to a limit.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import zmq

from ..failpoints import failpoint
from ..faults import (
    AgentBusy,
    AgentInvalidInput,
    AgentTimeout,
    Fault,
    InternalError,
    ServerMisconfigured,
    Unavailable,
    fault_data,
)
from ..logs import bind_context, get_logger
from ..spans import Span, SpanKind
from ..tracing import no_span, span
from . import wire
from .call import AnyCall, Call, Rep, Req, Timed, untimed
from .curve import KeyPair
from .sockets import LoopSocket, prepare_socket
from .zap import AllowedClients, Gate

log = get_logger(__name__)

PENDING_PER_PEER_MAX: Final = 512
DEADLINE_SECONDS_MAX: Final = 3600.0

Handler = Callable[[Any], Awaitable[Any]]
_caller: ContextVar[str] = ContextVar("rpc_caller", default="")


def caller() -> str:
    """The public key of the peer whose request is being handled; empty without CURVE."""
    return _caller.get()


class RpcServer:
    """Serves `contract` at `bind_address`, e.g. `tcp://127.0.0.1:6001`; port 0 takes a free one.

    `keypair` None switches encryption off, for tests on one machine only. `allowed_clients` holds
    public keys, or decides on one. `timed` measures the calls of the contract.
    """

    def __init__(
        self,
        bind_address: str,
        keypair: KeyPair | None,
        allowed_clients: AllowedClients,
        contract: Sequence[AnyCall],
        *,
        pending_per_peer_max: int = PENDING_PER_PEER_MAX,
        timed: Timed = untimed,
    ) -> None:
        self.address = bind_address
        self._keypair = keypair
        self._allowed_clients = allowed_clients
        self._calls = {call.name: call for call in contract}
        self._handlers: dict[str, Handler] = {}
        self._pending_max = pending_per_peer_max
        self._timed = timed
        self._pending: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._gate: Gate | None = None
        self._socket: LoopSocket | None = None

    def on(self, call: Call[Req, Rep], handler: Callable[[Req], Awaitable[Rep]]) -> None:
        """Answer `call` with `handler`."""
        if self._calls.get(call.name) is not call:
            raise ServerMisconfigured(f"the contract has no call {call.name!r}")
        self._handlers[call.name] = handler

    async def start(self) -> None:
        """Bind. Raises ServerMisconfigured: a call without a handler, an address already taken."""
        missing = sorted(self._calls.keys() - self._handlers.keys())
        if missing:
            raise ServerMisconfigured(f"calls without a handler: {', '.join(missing)}")
        self._context = zmq.Context()
        socket = self._context.socket(zmq.ROUTER)
        prepare_socket(socket, self.address)
        if self._keypair is not None:
            self._gate = Gate(self._context, self._allowed_clients)
            socket.curve_server = True
            socket.curve_secretkey = self._keypair.secret.encode("ascii")
        try:
            socket.bind(_with_wildcard_port(self.address))
        except zmq.ZMQError as error:
            socket.close()
            await self.close()
            raise ServerMisconfigured(f"cannot listen at {self.address}: {error}") from error
        self.address = socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._socket = LoopSocket(socket, self._receive)

    async def close(self) -> None:
        """Stop listening, end what is being handled."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for part in (self._socket, self._gate):
            if part is not None:
                part.close()
        if self._context is not None:
            self._context.term()
        self._socket = self._gate = self._context = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _receive(self, frames: list[zmq.Frame]) -> None:
        if len(frames) != 2:
            log.warning("rpc.bad_frame", parts=len(frames))
            return
        route = frames[0].bytes
        try:
            frame = wire.decode_request(frames[1].bytes)
        except wire.BadFrame as error:
            log.warning("rpc.bad_frame", detail=str(error))
            return
        if self._pending[route] >= self._pending_max:
            self._refuse(route, frame.id, AgentBusy(f"more than {self._pending_max} calls at once"))
            return
        self._begin(route, frame, _user_of(frames[1]))

    def _begin(self, route: bytes, frame: wire.RequestFrame, user: str) -> None:
        self._pending[route] += 1
        task = asyncio.get_running_loop().create_task(
            self._serve(route, frame, user), name=f"rpc.{frame.method}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, route: bytes, frame: wire.RequestFrame, user: str) -> None:
        _caller.set(user)
        if frame.trace:
            bind_context(request_id=frame.trace)
        with self._span_of(frame) as here:
            reply = await self._reply_to(route, frame, here)
        self._send(route, reply)

    def _span_of(self, frame: wire.RequestFrame) -> AbstractContextManager[Span]:
        call = self._calls.get(frame.method)
        if call is None:
            # Any text that somebody sent.
            return no_span()
        facts = {"rpc.method": call.name}
        if frame.trace:
            facts["request_id"] = frame.trace
        parent, begins_trace = frame.traceparent, not call.is_poll
        name = f"rpc {call.name}"
        return span(name, SpanKind.SERVER, facts, parent=parent, begins_trace=begins_trace)

    async def _reply_to(self, route: bytes, frame: wire.RequestFrame, here: Span) -> bytes:
        try:
            reply = wire.encode_reply(frame.id, True, await self._handle(frame))
            if frame.trace:
                # By this line a request is followed to the node that it reached; what the manager
                # or an agent does by itself has no request, and is told elsewhere.
                log.info("rpc.answered", method=frame.method)
            await failpoint("rpc.server.before_reply")
            return reply
        except Fault as fault:
            here.fail(fault.code)
            return wire.encode_reply(frame.id, False, fault_data(fault))
        except asyncio.CancelledError:
            gone = Unavailable("the server is stopping")
            self._send(route, wire.encode_reply(frame.id, False, fault_data(gone)))
            raise
        except Exception as error:
            here.fail(type(error).__name__)
            log.crash("rpc.handler_failed", error, method=frame.method)
            return wire.encode_reply(frame.id, False, fault_data(InternalError()))
        finally:
            self._forget(route)

    async def _handle(self, frame: wire.RequestFrame) -> Any:
        call = self._calls.get(frame.method)
        if call is None:
            raise AgentInvalidInput(f"there is no method {frame.method[:80]!r}")
        with self._timed(call.name):
            return await self._answer(call, frame)

    async def _answer(self, call: AnyCall, frame: wire.RequestFrame) -> Any:
        try:
            request = wire.decode_body(call.request, frame.body)
        except wire.BadFrame as error:
            raise AgentInvalidInput(f"{call.name}: {error}") from error
        remaining = min(max(frame.remaining_seconds, 0.0), DEADLINE_SECONDS_MAX)
        deadline = asyncio.timeout(remaining)
        try:
            async with deadline:
                return await self._handlers[call.name](request)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise AgentTimeout(f"{call.name} took longer than {remaining:g} s") from error

    def _forget(self, route: bytes) -> None:
        self._pending[route] -= 1
        if not self._pending[route]:
            del self._pending[route]

    def _refuse(self, route: bytes, id_: int, fault: Fault) -> None:
        self._send(route, wire.encode_reply(id_, False, fault_data(fault)))

    def _send(self, route: bytes, reply: bytes) -> None:
        if self._socket is None or self._socket.is_closed:
            return
        if len(reply) > wire.FRAME_BYTES_MAX:
            id_ = wire.decode_reply(reply).id
            too_large = AgentInvalidInput(f"the reply of {len(reply)} bytes is larger than allowed")
            reply = wire.encode_reply(id_, False, fault_data(too_large))
        self._socket.send([route, reply])


def _with_wildcard_port(address: str) -> str:
    return address.removesuffix("0") + "*" if address.endswith(":0") else address


def _user_of(frame: zmq.Frame) -> str:
    try:
        user = frame.get("User-Id")
    except zmq.ZMQError:
        return ""
    return user if isinstance(user, str) else ""
