"""Where one server is away, streams come from the next one that the client knows, as answers do."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from backendai.client.channel import Call, Channel
from backendai.client.config import Config
from backendai.client.faults import Unreachable

NOWHERE = "http://127.0.0.1:1"


async def greet(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("hello")
    await socket.close()
    return socket


@pytest.fixture
async def address() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/greet", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def channel_to(*endpoints: str) -> Channel:
    return Channel(Config(endpoints, "AKIA", "secret of the test", domain="default"))


async def test_a_stream_comes_from_the_next_server(address: str) -> None:
    channel = channel_to(NOWHERE, address)
    async with channel.socket(Call(method="GET", path="/greet")) as socket:
        assert [frame async for frame in socket] == ["hello"]
    await channel.close()


async def test_with_no_server_left_it_is_told() -> None:
    channel = channel_to(NOWHERE, NOWHERE)
    with pytest.raises(Unreachable):
        async with channel.socket(Call(method="GET", path="/greet")):
            pass
    await channel.close()
