"""`GET /stream/session/{session}/execute`: one run over a WebSocket, as the clients speak it."""

import asyncio
import uuid
from typing import Any, Final

import msgspec
import trafaret as t
from aiohttp import WSMsgType, web

from backendai.common.enums import ExecutionMode, ExecutionStatus
from backendai.common.faults import Fault, InvalidParams
from backendai.common.logs import get_logger
from backendai.common.params import check_params, parse_json, without_nulls
from backendai.manager.apps.streams import CLIENT_GONE, UNWELCOME, End, Stream, Streams, close
from backendai.manager.gate.routes import ACTOR, Route

from . import actions
from .rest import owner_keys, read_scope
from .rest_work import CODE_CHARS_MAX, read_batch_options, result_of
from .service import Sessions
from .work import Place, SessionWork

log = get_logger(__name__)

FLUSH_SECONDS: Final = 0.2
HEARTBEAT_SECONDS: Final = 30.0
MESSAGE_BYTES_MAX: Final = 8 * 1024 * 1024
LINES_WAITING_MAX: Final = 64
_ENDS: Final = frozenset({ExecutionStatus.FINISHED, ExecutionStatus.EXEC_TIMEOUT})
_FIRST: Final = t.Dict(
    t.Key("mode", trafaret=t.Enum(ExecutionMode.QUERY.value, ExecutionMode.BATCH.value)),
    t.Key("code", optional=True, default="", trafaret=t.String(True, max_length=CODE_CHARS_MAX)),
    t.Key("options", optional=True, default=dict, trafaret=t.Mapping(t.String(), t.Any)),
)
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, work: SessionWork, streams: Streams) -> list[Route]:
    handlers = _Handlers(sessions, work, streams)
    return [
        Route(
            "GET", "/stream/session/{session}/execute", handlers.execute, actions.EXECUTE, _OWNER
        ),
    ]


class _Handlers:
    def __init__(self, sessions: Sessions, work: SessionWork, streams: Streams) -> None:
        self._sessions = sessions
        self._work = work
        self._streams = streams

    async def execute(self, request: web.Request) -> web.StreamResponse:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        place = await self._work.locate(scope, reference)
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MESSAGE_BYTES_MAX)
        kernel = (uuid.UUID(place.kernel.kernel_id), place.kernel.generation)
        end = CLIENT_GONE
        await socket.prepare(request)
        try:
            with self._streams.hold(kernel, request[ACTOR].access_key) as stream:
                end = await _Run(socket, self._work, place, stream).drive()
        except* Fault as faults:
            fault = _first_of(faults)
            log.info("stream.failed", session=reference, code=fault.code)
            await _send(socket, {"status": "error", "msg": str(fault), "console": []})
        finally:
            await close(socket, end)
        return socket


class _Over(Exception):
    """There is nobody any more to run something for, or to send outcomes to."""

    def __init__(self, end: End) -> None:
        self.end = end


class _Run:
    """One run: steps go to the agent, outcomes to the client, typed lines back."""

    def __init__(
        self, socket: web.WebSocketResponse, work: SessionWork, place: Place, stream: Stream
    ) -> None:
        self._socket = socket
        self._work = work
        self._place = place
        self._stream = stream
        self._run_id: str | None = None
        self._has_begun = False
        self._lines: asyncio.Queue[str] = asyncio.Queue(LINES_WAITING_MAX)

    async def drive(self) -> End:
        """Until the run has ended, or the client is gone or may not come any more, both of which
        interrupt it. Raises groups of Faults.
        """
        end = CLIENT_GONE
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = (
                    tasks.create_task(self._read(), name="stream.read"),
                    tasks.create_task(self._await_end(), name="stream.end"),
                )
                await self._converse(*_read_first(await self._lines.get()))
                for task in beside:
                    task.cancel()
        except* _Over as overs:
            end = next(one.end for one in overs.exceptions if isinstance(one, _Over))
            if self._has_begun and end in (CLIENT_GONE, UNWELCOME):
                await self._interrupt()
        return end

    async def _await_end(self) -> None:
        """Raises _Over when it has to end."""
        raise _Over(await self._stream.ended())

    async def _converse(self, mode: ExecutionMode, code: str, options: dict[str, Any]) -> None:
        """Step by step until the run has come to its end. Raises _Over."""
        self._has_begun = True
        while True:
            outcome = await self._work.execute(
                self._place,
                mode,
                code,
                run_id=self._run_id,
                options=options,
                flush_seconds=FLUSH_SECONDS,
            )
            self._run_id = outcome.run_id
            # A run that has ended must not be interrupted: that would hit the one behind it.
            self._has_begun = outcome.status not in _ENDS
            if not await _send(self._socket, result_of(outcome)):
                raise _Over(CLIENT_GONE)
            if not self._has_begun:
                return
            mode, code, options = ExecutionMode.CONTINUE, "", {}
            if outcome.status == ExecutionStatus.WAITING_INPUT:
                mode, code = ExecutionMode.INPUT, await self._lines.get()

    async def _read(self) -> None:
        """Queue what the client types. Raises _Over when it goes away."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._lines.put(str(message.data))
        raise _Over(CLIENT_GONE)

    async def _interrupt(self) -> None:
        try:
            await self._work.interrupt(self._place)
        except Fault as fault:
            log.info("stream.interrupt_failed", code=fault.code)


def _read_first(text: str) -> tuple[ExecutionMode, str, dict[str, Any]]:
    value = parse_json(text.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict):
        raise InvalidParams("The first message must be an object with mode and code.")
    params = check_params(without_nulls(value), _FIRST)
    mode = ExecutionMode(params["mode"])
    options = read_batch_options(params["options"]) if mode is ExecutionMode.BATCH else {}
    return mode, params["code"], options


def _first_of(faults: BaseExceptionGroup[Fault]) -> Fault:
    first: BaseException = faults
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, Fault)
    return first


async def _send(socket: web.WebSocketResponse, message: dict[str, Any]) -> bool:
    """Whether the client was still there."""
    if socket.closed:
        return False
    try:
        await socket.send_frame(msgspec.json.encode(message), WSMsgType.TEXT)
    except ConnectionError:
        return False
    return True
