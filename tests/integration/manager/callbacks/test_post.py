"""Posting to servers on this machine, which is inside, and so refused unless it is allowed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from backendai.common.http import serve
from backendai.common.settings.checks import HostPort
from backendai.manager.callbacks import post
from backendai.manager.callbacks.post import GuardedPost, NotTold

HERE = ("127.0.0.0/8", "::1")


@dataclass
class Receiver:
    """What came in; `/here` takes it, `/elsewhere` sends it on, `/never` lets it wait."""

    port: int = 0
    taken: list[tuple[str, Any, str]] = field(default_factory=list)

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def take(self, request: web.Request) -> web.Response:
        self.taken.append((request.path, await request.json(), request.headers["Content-Type"]))
        if request.path == "/never":
            await asyncio.Event().wait()
        if request.path == "/elsewhere":
            raise web.HTTPTemporaryRedirect("/here")
        return web.Response(status=418 if request.path == "/refused" else 204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made, app = Receiver(), web.Application()
    app.router.add_post("/{path}", made.take)
    async with serve(app, HostPort("127.0.0.1", 0), shutdown_seconds=0.1) as address:
        made.port = address.port
        yield made


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
async def test_this_machine_is_not_reached(receiver: Receiver, host: str) -> None:
    with pytest.raises(NotTold, match="in no network that callbacks may reach"):
        await GuardedPost(["10.0.0.0/8"])(receiver.address("/here", host), b"{}")
    assert receiver.taken == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001"])
async def test_an_address_written_in_another_way_is_not_reached(
    receiver: Receiver, host: str
) -> None:
    with pytest.raises(NotTold):
        await GuardedPost(["10.0.0.0/8"])(receiver.address("/here", host), b"{}")
    assert receiver.taken == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_allowed_network_is_told(receiver: Receiver, host: str) -> None:
    await GuardedPost(HERE)(receiver.address("/here", host), b'{"a":1}')
    assert receiver.taken == [("/here", {"a": 1}, "application/json")]


async def test_no_redirect_is_followed(receiver: Receiver) -> None:
    with pytest.raises(NotTold, match="it answered 307"):
        await GuardedPost(HERE)(receiver.address("/elsewhere"), b"{}")
    assert [path for path, _, _ in receiver.taken] == ["/elsewhere"]


async def test_a_refusal_counts_as_not_told(receiver: Receiver) -> None:
    with pytest.raises(NotTold, match="it answered 418"):
        await GuardedPost(HERE)(receiver.address("/refused"), b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000,
        b"x" * 200_000,
    ],
    ids=["nothing", "words", "length", "headers", "long"],
)
async def test_an_answer_that_makes_no_sense_is_a_failure(answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotTold) as refused:
            await GuardedPost(HERE)(f"http://127.0.0.1:{port}/?key=secret", b"{}")
    assert "secret" not in str(refused.value)


async def test_nobody_is_waited_for_long(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(NotTold):
        await GuardedPost(HERE)(receiver.address("/never"), b"{}")
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no.such.host.invalid/", "http://"])
async def test_what_is_not_there_is_not_told(url: str) -> None:
    with pytest.raises(NotTold):
        await GuardedPost(HERE)(url, b"{}")
