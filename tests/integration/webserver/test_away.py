"""While Redis or the manager is away: clear answers, and nothing that looks like our own fault."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import RedisSettings
from tests.integration.webserver.conftest import Browser
from tests.integration.webserver.scripted import scripted_manager
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
