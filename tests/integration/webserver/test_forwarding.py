"""What passes through to a manager and back: bodies, streams, sockets, and no wrong headers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import WSCloseCode

from backendai.common.http import serve
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import RedisSettings
from backendai.webserver.app import make_web_app
from tests.integration.webserver.conftest import Browser
from tests.integration.webserver.scripted import ScriptedManager, scripted_manager
from tests.running.webserver import make_settings, running_webserver


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedManager]:
    async with scripted_manager() as made:
        yield made


@pytest.fixture
async def browser(
    upstream: ScriptedManager, redis_url: str, tmp_path: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Browser]:
    """Logged in, before a manager that tells what reaches it."""
    async with running_webserver(
        make_settings(upstream.address, redis_settings(redis_url), tmp_path)
    ) as (_, address):
        made = Browser(http, address)
        assert (await made.log_in("somebody")).status == 200
        yield made


def redis_settings(url: str) -> RedisSettings:
    parts = sa.make_url(url)
    return RedisSettings(
        addr=HostPort(parts.host or "", parts.port or 0),
        password=parts.password or "",
        db=int(parts.database or 0),
    )


async def test_only_what_the_api_needs_is_passed_on(
    browser: Browser, upstream: ScriptedManager
) -> None:
    answer = await browser.ask(
        "GET",
        "/func/folders?path=a%20b&x=%7B",
        Accept_Language="ko",
        Authorization="Basic eDp5",
        X_Forwarded_For="9.9.9.9",
        X_BackendAI_Version="v6.20220615",
        X_Secret="s",
        Connection="X-Secret",
    )
    told = answer.json
    assert told["target"] == "/folders?path=a%20b&x=%7B"
    headers = told["headers"]
    assert headers["accept-language"] == "ko"
    assert headers["x-backendai-version"] == "v6.20220615"
    assert headers["authorization"].startswith("BackendAI ")
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == browser.endpoint.removeprefix("http://")
    assert not {"cookie", "x-secret", "x-backendai-sessionid"} & headers.keys()
    assert answer.headers["X-Told"] == "yes"
    assert "Set-Cookie" not in answer.headers
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_may_have_a_body(browser: Browser, method: str) -> None:
    told = (await browser.ask(method, "/func/x", {"a": 1})).json
    assert (told["method"], told["bytes"]) == (method, 8)
    assert told["headers"]["content-type"] == "application/json"


async def test_long_bodies_go_through_with_and_without_a_length(
    browser: Browser, upstream: ScriptedManager
) -> None:
    data = b"0123456789abcdef" * (1 << 16)
    told = (await browser.ask("POST", "/func/x", raw=data)).json
    assert told["bytes"] == len(data)
    assert told["headers"]["content-length"] == str(len(data))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    headers = {**browser.headers, "Cookie": f"AIOHTTP_SESSION={browser.cookie}"}
    async with browser.http.post(
        f"{browser.endpoint}/func/x", data=pieces(), headers=headers
    ) as answer:
        assert (await answer.json())["bytes"] == len(data)
    assert upstream.bodies[-1] == data


async def test_events_come_as_they_happen(browser: Browser, upstream: ScriptedManager) -> None:
    headers = {"Cookie": f"AIOHTTP_SESSION={browser.cookie}"}
    async with browser.http.get(f"{browser.endpoint}/func/events/slow", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b"event: one\ndata: 1\n\n"
        upstream.go_on.set()
        assert await answer.content.readuntil(b"\n\n") == b"event: two\ndata: 2\n\n"


async def test_an_answer_that_breaks_off_breaks_off_here_too(browser: Browser) -> None:
    with pytest.raises(aiohttp.ClientError):
        await browser.ask("GET", "/func/breaks")
    assert (await browser.ask("GET", "/func/x")).status == 200


async def test_frames_go_both_ways_until_one_side_closes(
    browser: Browser, upstream: ScriptedManager
) -> None:
    url = f"{browser.endpoint}/func/stream/echo?app=x%20y"
    headers = {"Cookie": f"AIOHTTP_SESSION={browser.cookie}", "Origin": browser.endpoint}
    async with browser.http.ws_connect(url, headers=headers, protocols=("bai",)) as socket:
        assert socket.protocol == "bai"
        await socket.send_str("text")
        assert (await socket.receive()).data == "text"
        await socket.send_bytes(b"\0" * 100_000)
        assert (await socket.receive()).data == b"\0" * 100_000
        await socket.send_str("bye")
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4321
    assert upstream.seen[-1].raw_path == "/stream/echo?app=x%20y"
    upstream.go_on.clear()
    async with browser.http.ws_connect(url, headers=headers) as socket:
        await socket.send_str("text")
        await socket.receive()
    await upstream.go_on.wait()


async def test_a_socket_that_is_refused_is_refused_here_in_the_same_words(
    browser: Browser,
) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = await browser.ask("GET", "/func/stream/refused?name=mine", **upgrade)
    assert (answer.status, answer.slug) == (404, "object-not-found")
    assert answer.json["msg"] == "mine is not there"


async def test_apps_of_a_session_are_no_socket(browser: Browser) -> None:
    assert (await browser.ask("GET", "/func/stream/session/x/apps")).status == 200


async def test_signing_up_is_passed_on_unsigned(browser: Browser) -> None:
    browser.cookie = ""
    told = (await browser.ask("POST", "/func/auth/signup", {"email": "a@b"})).json
    assert "authorization" not in told["headers"]


async def test_what_lasts_as_long_as_its_browser_ends_with_the_webserver(
    upstream: ScriptedManager, redis_url: str, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    settings = make_settings(upstream.address, redis_settings(redis_url), tmp_path)
    here = HostPort("127.0.0.1", 0)
    async with running_webserver(settings) as (webserver, _), asyncio.timeout(30):
        async with serve(make_web_app(webserver), here, shutdown_seconds=600.0) as address:
            browser = Browser(http, f"http://{address}")
            await browser.log_in("somebody")
            headers = {"Cookie": f"AIOHTTP_SESSION={browser.cookie}", "Origin": browser.endpoint}
            events = await http.get(f"{browser.endpoint}/func/events/slow", headers=headers)
            assert await events.content.readuntil(b"\n\n") == b"event: one\ndata: 1\n\n"
            url = f"{browser.endpoint}/func/stream/echo"
            socket = await http.ws_connect(url, headers=headers, autoclose=False)
            await socket.send_str("text")
            assert (await socket.receive()).data == "text"
        assert await events.read() == b""
        assert (await socket.receive()).data == WSCloseCode.SERVICE_RESTART
    upstream.go_on.set()
