"""A manager at the edge of the world: it checks signatures, and tells what reached it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

from backendai.common.faults import SessionNotFound
from backendai.common.http import json_response, make_app, serve
from backendai.common.settings.checks import HostPort
from backendai.common.signing import read_signed_request, verify

ACCESS_KEY: Final = "AKIASCRIPTED"
SECRET_KEY: Final = "secret-of-the-scripted-manager"


@dataclass
class ScriptedManager:
    address: str = ""
    seen: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    is_stuck: bool = False

    def app(self) -> web.Application:
        app = make_app(body_bytes_max=1 << 30)
        app.router.add_post("/auth/authorize", self.authorize)
        app.router.add_get("/stream/echo", self.echo_frames)
        app.router.add_get("/stream/session/x/apps", self.echo)
        app.router.add_get("/stream/refused", self.refuse)
        app.router.add_get("/events/slow", self.tell_slowly)
        app.router.add_get("/breaks", self.break_off)
        app.router.add_get("/silent", self.keep_silent)
        app.router.add_post("/session/x", self.keep_silent)
        app.router.add_get("/stream/silent", self.keep_silent)
        app.router.add_get("/stalls", self.stall)
        app.router.add_route("*", "/{path:.*}", self.echo)
        return app

    async def authorize(self, request: web.Request) -> web.Response:
        data = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "role": "user"}
        return json_response({"data": {**data, "status": "active"}})

    async def echo(self, request: web.Request) -> web.Response:
        """What came, once its signature is found right."""
        if self.is_stuck:
            return await self.keep_silent(request)
        if "Authorization" in request.headers:
            _verify(request)
        self.seen.append(request)
        body = await request.read()
        self.bodies.append(body)
        told = {
            "method": request.method,
            "target": request.raw_path,
            "headers": {name.lower(): text for name, text in request.headers.items()},
            "bytes": len(body),
        }
        return json_response(told, headers={"Set-Cookie": "a=b", "X-Told": "yes"})

    async def echo_frames(self, request: web.Request) -> web.WebSocketResponse:
        _verify(request)
        self.seen.append(request)
        socket = web.WebSocketResponse(protocols=("bai",))
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                if message.data == "bye":
                    await socket.close(code=4321)
                    break
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        self.go_on.set()
        return socket

    async def refuse(self, request: web.Request) -> web.Response:
        raise SessionNotFound(f"{request.query.get('name', '')} is not there")

    async def keep_silent(self, request: web.Request) -> web.Response:
        await request.read()
        self.seen.append(request)
        await self.go_on.wait()
        return json_response({"came": "late"})

    async def stall(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(b"x" * 1000)
        await self.go_on.wait()
        return response

    async def tell_slowly(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: one\ndata: 1\n\n")
        await self.go_on.wait()
        await response.write(b"event: two\ndata: 2\n\n")
        return response

    async def break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(b"x" * 1000)
        assert request.transport is not None
        request.transport.close()
        return response


def _verify(request: web.Request) -> None:
    signed, credential = read_signed_request(request.method, request.raw_path, request.headers)
    assert credential.access_key == ACCESS_KEY
    verify(signed, credential, SECRET_KEY)


@asynccontextmanager
async def scripted_manager() -> AsyncIterator[ScriptedManager]:
    made = ScriptedManager()
    async with serve(made.app(), HostPort("127.0.0.1", 0), shutdown_seconds=0.5) as address:
        made.address = f"http://{address}"
        yield made
