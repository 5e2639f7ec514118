"""An API at the edge of the world: a real HTTP server with answers as the protocol records them.

Every request's signature is checked, as the server does. Tests change what it answers by `on`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from backendai.common.faults import (
    PROBLEM_CONTENT_TYPE,
    AuthFailed,
    Fault,
    UrlNotFound,
    to_problem,
)
from backendai.common.signing import check_date, read_signed_request, verify

ACCESS_KEY: Final = "AKIASCRIPTEDTESTKEY0"
SECRET_KEY: Final = "secret-of-the-scripted-user"
SESSION_ID: Final = "3f1c0de0-8a55-4f70-9a1f-2f0a5a6d7e01"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Reply = Handler | Fault | Mapping[str, Any] | None


@dataclass(frozen=True)
class Seen:
    """A request as it arrived. `target` is the raw one."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ScriptedServer:
    """`replies` are by method and raw path: JSON, a fault, None for 204, or a handler."""

    address: str = ""
    seen: list[Seen] = field(default_factory=list)
    replies: dict[tuple[str, str], Reply] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "BACKEND_ENDPOINT": self.address,
            "BACKEND_ENDPOINT_TYPE": "api",
            "BACKEND_ACCESS_KEY": ACCESS_KEY,
            "BACKEND_SECRET_KEY": SECRET_KEY,
        }

    def on(self, method: str, path: str, reply: Reply) -> None:
        self.replies[method, path] = reply

    def targets(self) -> list[str]:
        return [f"{seen.method} {seen.target}" for seen in self.seen]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        # A form is left to its handler: aiohttp parses only what nobody has read.
        is_form = request.content_type.startswith("multipart/")
        body = b"" if is_form else await request.read()
        self.seen.append(Seen(request.method, request.raw_path, dict(request.headers), body))
        try:
            _check_signature(request, body)
            reply = self._reply_of(request)
        except Fault as fault:
            reply = fault
        return await _render(reply, request)

    def _reply_of(self, request: web.Request) -> Reply:
        key = request.method, request.raw_path.partition("?")[0]
        if key not in self.replies:
            raise UrlNotFound(facts={"path": request.raw_path})
        return self.replies[key]


def _check_signature(request: web.Request, body: bytes) -> None:
    signed, credential = read_signed_request(
        request.method, request.raw_path, request.headers, body
    )
    check_date(signed.date_text, datetime.now(UTC), credential.method)
    if credential.access_key != ACCESS_KEY:
        raise AuthFailed("Access key not found")
    verify(signed, credential, SECRET_KEY)


async def _render(reply: Reply, request: web.Request) -> web.StreamResponse:
    if isinstance(reply, Fault):
        problem = to_problem(reply)
        return web.json_response(
            problem, status=reply.http_status, content_type=PROBLEM_CONTENT_TYPE
        )
    if reply is None:
        return web.Response(status=204)
    if callable(reply):
        return await reply(request)
    return web.json_response(dict(reply), status=201 if request.path == "/session" else 200)


@asynccontextmanager
async def serve() -> AsyncIterator[ScriptedServer]:
    """The server on a free port, with a session `demo` that runs."""
    server = ScriptedServer()
    _script_demo(server)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.address = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def created(status: str = "RUNNING", name: str = "demo") -> dict[str, Any]:
    return {
        "sessionId": SESSION_ID,
        "sessionName": name,
        "status": status,
        "created": True,
        "servicePorts": [],
    }


def row(name: str = "demo", **changes: Any) -> dict[str, Any]:
    """A line of a listing, with all columns."""
    return {
        "name": name,
        "id": SESSION_ID,
        "group_name": "default",
        "image": "local/python:3.11",
        "type": "INTERACTIVE",
        "status": "RUNNING",
        "status_info": None,
        "status_changed": "2026-11-21T19:29:33.868086+00:00",
        "result": "UNDEFINED",
        "created_at": "2026-11-21T19:29:30+00:00",
        "terminated_at": None,
        "requested_slots": '{"cpu": "1", "mem": "1073741824"}',
        "status_data": "{}",
        "occupying_slots": '{"cpu": "1", "mem": "1073741824"}',
        "access_key": ACCESS_KEY,
        "tag": None,
        **changes,
    }


def script_graph(server: ScriptedServer, rows: list[dict[str, Any]]) -> None:
    """Answers the listings of sessions (in pages) and of images."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        if "images" in asked["query"]:
            names = ("busybox", "python")
            images = [
                {"name": name, "registry": "local", "tag": "1", "architecture": "x86_64"}
                for name in names
            ]
            return web.json_response({"data": {"images": images}})
        first, count = asked["variables"]["offset"], asked["variables"]["limit"]
        page = {"items": rows[first : first + count], "total_count": len(rows)}
        return web.json_response({"data": {"compute_session_list": page}})

    server.on("POST", "/admin/gql", answer)


def _script_demo(server: ScriptedServer) -> None:
    script_graph(server, [row()])
    server.on("GET", "/", {"version": "v7.20230615", "manager": "0.1.0"})
    server.on("POST", "/session", created())
    server.on("GET", "/session/demo", {"status": "RUNNING", "image": "local/python:1", "age": 5})
    server.on("GET", "/session/demo/status-history", {"history": []})
    server.on("DELETE", "/session/demo", {"stats": {}})
    server.on("DELETE", f"/session/{SESSION_ID}", {"stats": {}})
    for session in ("demo", SESSION_ID):
        server.on("GET", f"/stream/session/{session}/execute", run_code)
        server.on("POST", f"/session/{session}/upload", None)


async def run_code(request: web.Request) -> web.WebSocketResponse:
    """Prints the code and asks for a line when the code has `input`; exits with 3 on `fail`."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    first = await socket.receive_json()
    code = first["code"] or str(first["options"]["exec"])
    await socket.send_json({"status": "continued", "console": [["stdout", f"{code}\n"]]})
    if "input" in code:
        await socket.send_json(
            {"status": "waiting-input", "console": [], "options": {"is_password": False}}
        )
        line = await socket.receive_str()
        await socket.send_json({"status": "continued", "console": [["stdout", f"<{line}>\n"]]})
    if "fail" in code:
        await socket.send_json({"status": "continued", "console": [["stderr", "failed\n"]]})
    exit_code = 3 if "fail" in code else 0
    await socket.send_json({"status": "finished", "console": [], "exitCode": exit_code})
    await socket.close()
    return socket
