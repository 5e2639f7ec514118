"""What `run` and `session create` tell while a session waits, and when they are interrupted."""

import asyncio
import os
import pty
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from backendai.common.faults import SessionNotFound, Unavailable
from tests.integration.client.conftest import PROGRAM
from tests.integration.client.scripted import ScriptedServer, created

CREATE = ("session", "create", "--image", "x:1", "--name", "demo")


class SlowStart:
    """A create that is answered when `released`; the reason of the wait is `detail`."""

    def __init__(self, server: ScriptedServer) -> None:
        self.arrived, self.released = asyncio.Event(), asyncio.Event()
        self.detail = "No node has 2 free cores."
        self.ended: list[str] = []
        self._server = server
        server.on("POST", "/session", self._wait)

    async def _wait(self, request: web.Request) -> web.Response:
        name = (await request.json())["name"]
        self._server.on("GET", f"/session/{name}/why", self._why)
        self._server.on("DELETE", f"/session/{name}", self._end)
        self.arrived.set()
        await self.released.wait()
        return web.json_response(created(name=name), status=201)

    async def _why(self, request: web.Request) -> web.Response:
        waiting = {"rule": "room", "detail": self.detail}
        return web.json_response({"status": "PENDING", "text": "It waits.", "waiting": waiting})

    async def _end(self, request: web.Request) -> web.Response:
        self.ended.append(request.path)
        return web.json_response({"stats": {}})


@pytest.fixture
async def slow(server: ScriptedServer) -> AsyncIterator[SlowStart]:
    start = SlowStart(server)
    yield start
    start.released.set()


async def begin(server: ScriptedServer, words: Sequence[str], stderr: int = PIPE) -> Process:
    return await asyncio.create_subprocess_exec(
        PROGRAM, *words, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=stderr,
        env={**server.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip


async def read_line(process: Process) -> str:
    assert process.stderr is not None
    return (await asyncio.wait_for(process.stderr.readline(), 20)).decode()


async def test_a_wait_without_a_terminal_is_one_line_at_each_change(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, CREATE)
    said = await read_line(process)
    assert said == "demo waits: No node has 2 free cores; Ctrl-C leaves it in the queue\n"
    slow.detail = "The only node is lost."
    assert await read_line(process) == said.replace("No node has 2 free cores", slow.detail[:-1])
    slow.released.set()
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"demo ")


async def test_a_server_that_says_nothing_is_told_too(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, CREATE)
    await slow.arrived.wait()
    server.on("GET", "/session/demo/why", SessionNotFound())
    assert await read_line(process) == "demo is asked for; the server has not answered yet\n"
    slow.released.set()
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_an_api_that_went_away_is_told_while_it_is_asked_again(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, CREATE)
    await slow.arrived.wait()
    server.on("GET", "/session/demo/why", Unavailable())
    assert await read_line(process) == "demo: the API does not answer; it is asked again\n"
    server.on("GET", "/session/demo/why", SessionNotFound())
    slow.released.set()
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_an_interrupted_create_says_that_the_session_stays(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, CREATE)
    await asyncio.wait_for(slow.arrived.wait(), 20)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 130
    assert err.decode().splitlines() == [
        "interrupted: demo stays and is PENDING",
        "  See: backendai session why demo",
        "  End it: backendai session terminate demo",
    ]


async def test_an_interrupted_create_that_the_server_does_not_know(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, CREATE)
    await asyncio.wait_for(slow.arrived.wait(), 20)
    server.on("GET", "/session/demo/why", SessionNotFound())
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert b"whether demo was created is unknown" in err


async def test_an_interrupted_run_ends_its_session_and_says_so(
    server: ScriptedServer, slow: SlowStart
) -> None:
    process = await begin(server, ("run", "--image", "x:1", "-c", "1"))
    assert "; Ctrl-C ends it" in await read_line(process)
    process.send_signal(signal.SIGINT)
    assert "is being ended" in await read_line(process)
    assert await asyncio.wait_for(process.wait(), 20) == 130
    assert len(slow.ended) == 1


async def test_a_wait_on_a_terminal_is_a_spinner_with_the_reason(
    server: ScriptedServer, slow: SlowStart
) -> None:
    ours, theirs = pty.openpty()
    process = await begin(server, CREATE, stderr=theirs)
    os.close(theirs)
    text = ""
    while "demo waits: No node has 2 free cores; Ctrl-C leaves" not in text:
        text += (await asyncio.wait_for(asyncio.to_thread(os.read, ours, 4096), 20)).decode()
    slow.released.set()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    rest = os.read(ours, 65536).decode()
    os.close(ours)
    assert "⠋ demo is asked for" in text
    assert rest.endswith("\r\x1b[K")
