"""REST of apps: which there are, opening and stopping them, and the streams into them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec
import trafaret as t
from aiohttp import web

from backendai.common.contracts.tunnel import HALF_CLOSE
from backendai.common.faults import Fault, InvalidParams
from backendai.common.http import json_response
from backendai.common.logs import get_logger
from backendai.common.params import checked
from backendai.common.tickets import APP_PATTERN
from backendai.manager.gate.actor import Actor
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.sessions import actions, render
from backendai.manager.sessions.rest import owner_keys, read_scope
from backendai.manager.sessions.service import Sessions
from backendai.manager.sessions.work import Uses

from . import terminal, tunnel
from .model import AppRequest, Site
from .service import Apps, Connection
from .streams import CLIENT_GONE, End, Stream, Streams, close, end_of, first_end

log = get_logger(__name__)

HEARTBEAT_SECONDS: Final = 30.0
_NAME: Final = t.Regexp(APP_PATTERN)
_OPTIONS: Final = dict[str, str | list[str] | None]
_VARIABLES: Final = dict[str, str]
_TEXT_CHARS_MAX: Final = 64 * 1024
Carry = Callable[[web.WebSocketResponse, Connection, Stream, Callable[[], None]], Awaitable[End]]


def _read_map(kind: Any, value: Any) -> Any:
    """A map, or JSON text of one; null is an empty one. Raises ValueError."""
    try:
        found = msgspec.json.decode(value) if isinstance(value, str) else value
        return msgspec.convert({} if found is None else found, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"write a JSON object: {error}") from None


def _map_trafaret(kind: Any) -> Any:
    either = t.String(allow_blank=True, max_length=_TEXT_CHARS_MAX) | t.Mapping(t.String(), t.Any)
    return either & checked(partial(_read_map, kind))


_APP: Final = (
    t.Key("app", optional=True, trafaret=_NAME),
    t.Key("service", optional=True, to_name="app", trafaret=_NAME),
    t.Key("port", optional=True, trafaret=t.ToInt(gte=1, lte=65535)),
    t.Key("arguments", optional=True, trafaret=_map_trafaret(_OPTIONS)),
    t.Key("envs", optional=True, trafaret=_map_trafaret(_VARIABLES)),
)
_OWNER: Final = owner_keys()
_TUNNEL: Final = owner_keys(*_APP)
_START: Final = owner_keys(
    *_APP,
    t.Key(
        "login_session_token",
        optional=True,
        trafaret=t.String(allow_blank=True, max_length=4096),
    ),
)
_STOP: Final = owner_keys(
    t.Key("service_name", optional=True, to_name="app", trafaret=_NAME),
    t.Key("app", optional=True, trafaret=_NAME),
)
_CELLS: Final = t.ToInt(gte=1, lte=terminal.CELLS_MAX)
_TERMINAL: Final = owner_keys(
    t.Key("terminal", optional=True, default="main", trafaret=_NAME),
    t.Key("rows", optional=True, default=24, trafaret=_CELLS),
    t.Key("cols", optional=True, default=80, trafaret=_CELLS),
)


def routes(sessions: Sessions, apps: Apps, streams: Streams, uses: Uses) -> list[Route]:
    handlers = _Handlers(sessions, apps, streams, uses)
    at, stream = "/session/{session}", "/stream/session/{session}"
    return [
        Route("POST", f"{at}/start-service", handlers.start, actions.USE_APPS, _START),
        Route("POST", f"{at}/shutdown-service", handlers.stop, actions.USE_APPS, _STOP),
        Route("GET", f"{stream}/apps", handlers.list_apps, actions.READ, _OWNER),
        Route("GET", f"{stream}/tcpproxy", handlers.tunnel, actions.USE_APPS, _TUNNEL),
        Route("GET", f"{stream}/httpproxy", handlers.tunnel, actions.USE_APPS, _TUNNEL),
        Route("GET", f"{stream}/pty", handlers.terminal, actions.USE_APPS, _TERMINAL),
    ]


class _Handlers:
    def __init__(self, sessions: Sessions, apps: Apps, streams: Streams, uses: Uses) -> None:
        self._sessions = sessions
        self._apps = apps
        self._streams = streams
        self._uses = uses

    async def list_apps(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        session = await self._sessions.get(scope, reference)
        body = msgspec.json.encode(render.service_ports(session.main))
        return web.Response(body=body, content_type="application/json")

    async def start(self, request: web.Request) -> web.Response:
        site, params = await self._find(request, _START)
        opening = await self._apps.open_in_browser(
            request[ACTOR], site, _wanted(params), params.get("login_session_token")
        )
        return json_response({"token": opening.token, "wsproxy_addr": opening.proxy_address})

    async def stop(self, request: web.Request) -> web.Response:
        site, params = await self._find(request, _STOP)
        await self._apps.stop(site, _wanted(params))
        return web.Response(status=204)

    async def tunnel(self, request: web.Request) -> web.StreamResponse:
        site, params = await self._find(request, _TUNNEL)
        wanted = _wanted(params)
        # Without pings of ours: who does not read for a while does not answer them either.
        socket = web.WebSocketResponse(
            max_msg_size=tunnel.MESSAGE_BYTES_MAX, compress=False, protocols=(HALF_CLOSE,)
        )
        return await self._serve(request, socket, site, wanted, _carry_bytes)

    async def terminal(self, request: web.Request) -> web.StreamResponse:
        site, params = await self._find(request, _TERMINAL)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, max_msg_size=terminal.FRAME_BYTES_MAX
        )
        view = {key: params[key] for key in ("terminal", "rows", "cols")}
        wanted = AppRequest(terminal.SHELL_APP)
        return await self._serve(request, socket, site, wanted, partial(_carry_terminal, view))

    async def _find(self, request: web.Request, params: t.Dict) -> tuple[Site, dict[str, Any]]:
        scope, reference, values = await read_scope(request, self._sessions, params)
        return await self._apps.find_site(scope, reference), values

    async def _serve(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        site: Site,
        wanted: AppRequest,
        carry: Carry,
    ) -> web.WebSocketResponse:
        """Accept first, and close when the app cannot be had: clients that are refused leave
        whoever they connect waiting."""
        await socket.prepare(request)
        try:
            end = await self._run(socket, request[ACTOR], site, wanted, carry)
        except Fault as fault:
            log.info("stream.refused", session=str(site.session_id), code=fault.code)
            end = end_of(fault)
        await close(socket, end)
        return socket

    async def _run(
        self,
        socket: web.WebSocketResponse,
        actor: Actor,
        site: Site,
        wanted: AppRequest,
        carry: Carry,
    ) -> End:
        connection = await self._apps.connect(site, wanted)
        kernel = (site.kernel_id, site.generation)
        with _aborted(connection), self._streams.hold(kernel, actor.access_key) as stream:
            note = partial(self._uses.note, site.session_id, wanted.app)
            return await carry(socket, connection, stream, note)


async def _carry_bytes(
    socket: web.WebSocketResponse,
    connection: Connection,
    stream: Stream,
    note: Callable[[], None],
) -> End:
    reader, writer = connection
    has_finished = asyncio.Event()
    up = tunnel.send_up(socket, writer, note, has_finished)
    down = tunnel.send_down(reader, socket, has_finished)
    end = await first_end(up, down, stream.ended())
    if end is CLIENT_GONE:
        await tunnel.pass_on_rest(reader, writer)
    return end


async def _carry_terminal(
    view: dict[str, str | int],
    socket: web.WebSocketResponse,
    connection: Connection,
    stream: Stream,
    note: Callable[[], None],
) -> End:
    async with terminal.attached(connection, **view) as shell:
        up = terminal.send_up(socket, shell, note)
        return await first_end(up, terminal.send_down(shell, socket), stream.ended())


@contextmanager
def _aborted(connection: Connection) -> Iterator[None]:
    """At once in the end: what nobody reads any more need not arrive."""
    try:
        yield
    finally:
        connection[1].transport.abort()


def _wanted(params: dict[str, Any]) -> AppRequest:
    if "app" not in params:
        raise InvalidParams(facts={"app": "is required"})
    return AppRequest(
        params["app"], params.get("port"), params.get("arguments", {}), params.get("envs", {})
    )
