"""The web terminal: its page, and the WebSocket by which a viewer looks at a shell and types."""

import asyncio
import json
import logging
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from backendai.kernel.apps.main import Close, Situation
from backendai.kernel.apps.shells import Size
from backendai.kernel.apps.terminal import Terminal, Terminals, Viewer
from backendai.kernel.apps.web import SECURITY_HEADERS, is_same_origin, start_site

PAGE: Final = Path(__file__).with_name("page")
VENDORED: Final = PAGE / "vendor"
TERMINALS_MAX: Final = 16
MESSAGE_BYTES_MAX: Final = 1024 * 1024
HEARTBEAT_SECONDS: Final = 30.0
STATIC: Final = {
    "": ("terminal.html", "text/html"),
    "terminal.js": ("terminal.js", "text/javascript"),
    "terminal.css": ("terminal.css", "text/css"),
    "vendor/xterm.js": ("vendor/xterm.js", "text/javascript"),
    "vendor/addon-fit.js": ("vendor/addon-fit.js", "text/javascript"),
    "vendor/xterm.css": ("vendor/xterm.css", "text/css"),
}

# The first byte of a message: of the client's, then of ours.
INPUT, CONTROL, PING = 0, 1, 2
OUTPUT, EVENT = b"\x00", b"\x01"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_logger = logging.getLogger(__name__)


async def serve(listener: socket.socket, situation: Situation) -> Close:
    terminals = Terminals(situation.environ, situation.work_dir, TERMINALS_MAX)
    app = web.Application()
    app.router.add_get("/ws", Attachments(terminals).attach)
    app.router.add_get("/{path:.*}", send_static)
    close_site = await start_site(app, listener)

    async def close() -> None:
        await terminals.close()
        await close_site()

    return close


async def send_static(request: web.Request) -> web.Response:
    """One of the few files of the page."""
    known = STATIC.get(request.match_info["path"])
    if known is None:
        raise web.HTTPNotFound(text="there is no such page here\n")
    name, mime = known
    if name == "terminal.html" and not (VENDORED / "xterm.js").is_file():
        name = "missing.html"
    try:
        body = await asyncio.to_thread((PAGE / name).read_bytes)
    except FileNotFoundError:
        raise web.HTTPNotFound(text=f"{name} is not there\n") from None
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache"}
    return web.Response(body=body, content_type=mime, charset="utf-8", headers=headers)


class Attachments:
    """Connects WebSockets to terminals."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """`?terminal=<name>&rows=<n>&cols=<n>`, all optional."""
        if not is_same_origin(request):
            raise web.HTTPForbidden(text="this page must not open a terminal here\n")
        name = request.query.get("terminal", "main")
        if not _NAME.fullmatch(name):
            raise web.HTTPBadRequest(
                text="terminal: a name of up to 64 letters, digits and . _ - is allowed\n"
            )
        size = _read_size(dict(request.query))
        ws = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=MESSAGE_BYTES_MAX
        )
        await ws.prepare(request)
        try:
            terminal, viewer = await self._terminals.open(name, size)
        except (OSError, ValueError) as error:
            await ws.close(code=WSCloseCode.TRY_AGAIN_LATER, message=str(error).encode()[:120])
            return ws
        sending = asyncio.create_task(_send(ws, viewer), name="viewer")
        try:
            await _receive(ws, terminal, viewer)
        finally:
            terminal.detach(viewer)
            viewer.close(is_dropped=True)
            sending.cancel()
            await asyncio.wait([sending])
        return ws


async def _send(ws: web.WebSocketResponse, viewer: Viewer) -> None:
    """Until the shell ends or the viewer is gone."""
    with suppress(ConnectionError):
        while (piece := await viewer.take()) is not None:
            if isinstance(piece, bytes):
                await ws.send_bytes(OUTPUT + piece)
            else:
                await ws.send_bytes(EVENT + json.dumps(piece).encode())
        if viewer.is_dropped:
            await ws.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")
        else:
            await ws.close(code=WSCloseCode.OK, message=b"the shell has ended")


async def _receive(ws: web.WebSocketResponse, terminal: Terminal, viewer: Viewer) -> None:
    async for message in ws:
        if message.type is not WSMsgType.BINARY or not message.data:
            await ws.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"binary messages only")
            return
        kind, body = message.data[0], message.data[1:]
        if kind == INPUT:
            if not terminal.type(body):
                await ws.close(code=WSCloseCode.MESSAGE_TOO_BIG, message=b"too much input")
                return
        elif kind == CONTROL:
            _control(terminal, viewer, body)
        elif kind == PING:
            viewer.tell({"event": "pong"})


def _control(terminal: Terminal, viewer: Viewer, body: bytes) -> None:
    """`{"rows": n, "cols": n}` or `{"restart": true}`; what is neither changes nothing."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    if not isinstance(value, dict):
        return
    size = _read_size(value)
    if size is not None:
        terminal.resize(viewer, size)
    if value.get("restart") is True:
        terminal.restart()


def _read_size(values: dict[str, Any]) -> Size | None:
    """None unless both sides are there and numbers."""
    try:
        return Size.within_bounds(int(values["rows"]), int(values["cols"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
