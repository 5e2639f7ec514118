"""While Redis or the manager is away: clear answers, and nothing that looks like our own fault."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import RedisSettings
from backendai.webserver import rest
from tests.integration.webserver.conftest import Browser
from tests.integration.webserver.scripted import ScriptedManager, scripted_manager
from tests.integration.webserver.test_forwarding import redis_settings
from tests.running.webserver import make_settings, running_webserver

NOWHERE = HostPort("127.0.0.1", 1)
PATHS = (("GET", "/func/auth"), ("GET", "/server/sessions"), ("POST", "/func/session"))


@pytest.fixture
async def without_redis(tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[Browser]:
    async with scripted_manager() as upstream:
        settings = make_settings(upstream.address, RedisSettings(addr=NOWHERE), tmp_path)
        async with running_webserver(settings) as (_, address):
            yield Browser(http, address)


@pytest.fixture
async def without_manager(
    redis_url: str, tmp_path: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Browser]:
    """Logged in before the manager went away."""
    async with scripted_manager() as upstream:
        settings = make_settings(upstream.address, redis_settings(redis_url), tmp_path)
        async with running_webserver(settings) as (_, address):
            browser = Browser(http, address)
            await browser.log_in("somebody")
    settings = make_settings(upstream.address, redis_settings(redis_url), tmp_path)
    async with running_webserver(settings) as (_, address):
        yield Browser(http, address, browser.cookie)


@dataclass
class Wire:
    """A way to a server that can be cut."""

    far: HostPort
    near: HostPort = NOWHERE
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.near = HostPort(*self._server.sockets[0].getsockname()[:2])
        try:
            yield
        finally:
            self.cut()

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self.far.host, self.far.port)
        self._writers |= {writer, far_writer}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


@pytest.fixture
async def before_a_silent_one(
    redis_url: str, tmp_path: Path, http: aiohttp.ClientSession
) -> AsyncIterator[tuple[Browser, ScriptedManager]]:
    """Logged in, where a manager may be silent for half a second."""
    async with scripted_manager() as upstream:
        settings = make_settings(upstream.address, redis_settings(redis_url), tmp_path)
        hasty = replace(settings, api=replace(settings.api, answer_timeout=0.5))
        async with running_webserver(hasty) as (_, address):
            browser = Browser(http, address)
            await browser.log_in("somebody")
            yield browser, upstream
            upstream.go_on.set()


async def test_a_manager_that_takes_a_request_and_says_nothing_is_told_of(
    before_a_silent_one: tuple[Browser, ScriptedManager],
) -> None:
    browser, _ = before_a_silent_one
    answer = await browser.ask("GET", "/func/silent")
    assert (answer.status, answer.slug) == (504, "gateway-timeout")
    assert "did not answer within 0.5 s" in answer.json["msg"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.http.ws_connect(
            f"{browser.endpoint}/func/stream/silent",
            headers={"Cookie": f"AIOHTTP_SESSION={browser.cookie}"},
        )
    assert refused.value.status == 504
    with pytest.raises(aiohttp.ClientError):
        await browser.ask("GET", "/func/stalls")


@pytest.mark.parametrize("look_seconds", [0.1, 3.0])
async def test_a_login_is_told_of_though_the_manager_is_stuck(
    before_a_silent_one: tuple[Browser, ScriptedManager],
    monkeypatch: pytest.MonkeyPatch,
    look_seconds: float,
) -> None:
    """Every page begins with it. The manager may be given up before it is late, or behind that."""
    browser, upstream = before_a_silent_one
    upstream.is_stuck = True
    monkeypatch.setattr(rest, "LOOK_SECONDS", look_seconds)
    check = await browser.ask("POST", "/server/login-check")
    assert (check.status, check.json["authenticated"]) == (200, True)


async def test_what_may_take_long_is_waited_for(
    before_a_silent_one: tuple[Browser, ScriptedManager],
) -> None:
    """Longer than requests that wait for nothing."""
    browser, upstream = before_a_silent_one
    headers = {"Cookie": f"AIOHTTP_SESSION={browser.cookie}"}
    async with asyncio.TaskGroup() as group:
        run = group.create_task(browser.ask("POST", "/func/session/x", {"mode": "query"}))
        url = f"{browser.endpoint}/func/events/slow"
        async with browser.http.get(url, headers=headers) as events:
            assert await events.content.readuntil(b"\n\n") == b"event: one\ndata: 1\n\n"
            for _ in range(2):
                assert (await browser.ask("GET", "/func/silent")).status == 504
            upstream.go_on.set()
            assert await events.content.readuntil(b"\n\n") == b"event: two\ndata: 2\n\n"
    assert (run.result().status, run.result().json) == (200, {"came": "late"})


@pytest.mark.parametrize(
    ("path", "words"),
    [("update-password", "The password was changed."), ("signout", "The account was closed.")],
)
async def test_what_was_done_is_not_told_as_undone_because_redis_is_away(
    redis_url: str, tmp_path: Path, http: aiohttp.ClientSession, path: str, words: str
) -> None:
    """The manager did it; that the other logins are still there is said beside."""
    redis = redis_settings(redis_url)
    wire = Wire(redis.addr)
    async with scripted_manager() as upstream, wire.joined():
        settings = make_settings(upstream.address, replace(redis, addr=wire.near), tmp_path)
        async with running_webserver(settings) as (_, address):
            browser = Browser(http, address)
            await browser.log_in("somebody")
            wire.cut()
            answer = await browser.ask("POST", f"/func/auth/{path}", {"old_password": "x"})
            assert upstream.seen[-1].path == f"/auth/{path}"
    assert answer.status == 200
    assert answer.json["warning"].startswith(words)
    assert "Other logins could not be ended" in answer.json["warning"]


async def test_without_redis_nobody_is_logged_in_and_that_is_told(without_redis: Browser) -> None:
    check = await without_redis.ask("POST", "/server/login-check")
    assert (check.status, check.json["authenticated"]) == (200, False)
    answer = await without_redis.log_in("somebody")
    assert (answer.status, answer.slug) == (503, "service-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    without_redis.cookie = "x" * 43
    for method, path in PATHS:
        assert (await without_redis.ask(method, path)).status == 503
    assert (await without_redis.ask("GET", "/func/")).status == 200
    assert (await without_redis.ask("POST", "/server/logout")).status == 201
    assert (await without_redis.ask("GET", "/")).status == 200


async def test_without_a_manager_logins_are_kept_and_that_is_told(without_manager: Browser) -> None:
    check = await without_manager.ask("POST", "/server/login-check")
    assert check.json["authenticated"] is True
    for method, path in (("GET", "/func/auth"), ("POST", "/func/session"), ("GET", "/func/")):
        answer = await without_manager.ask(method, path)
        assert (answer.status, answer.slug) == (502, "bad-gateway")
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await without_manager.http.ws_connect(
            f"{without_manager.endpoint}/func/stream/session/x/execute",
            headers={"Cookie": f"AIOHTTP_SESSION={without_manager.cookie}"},
        )
    assert refused.value.status == 502
    assert (await without_manager.ask("POST", "/server/logout")).status == 201
    without_manager.cookie = ""
    answer = await without_manager.log_in("somebody")
    assert (answer.status, answer.slug) == (502, "bad-gateway")
    health = await without_manager.ask("GET", "/health")
    assert (health.status, health.json["checks"]["redis"]) == (200, "ok")
    assert health.json["checks"]["manager"] != "ok"
