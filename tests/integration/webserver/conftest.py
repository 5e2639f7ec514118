"""A webserver in this process before a real manager, and browsers as bytes on connections."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api import conftest as managers
from tests.integration.manager.api.caller import Answer
from tests.running.webserver import make_settings, running_webserver

# The manager's own fixtures: a real one on real stores.
filled, module_dir = managers.filled, managers.module_dir
manager, agent, http = managers.manager, managers.agent, managers.http

VERSION: Final = "v7.20230615"


@dataclass
class Browser:
    """What asks in one user's name: a cookie, and headers as a browser's page sends them."""

    http: aiohttp.ClientSession
    endpoint: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"X-BackendAI-Version": VERSION})

    async def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **more: str
    ) -> Answer:
        """`more` are headers, `_` for `-`; one that is empty is not sent."""
        named = {name.replace("_", "-"): text for name, text in more.items()}
        headers = {**self.headers, **named}
        if self.cookie and "Cookie" not in headers:
            headers["Cookie"] = f"AIOHTTP_SESSION={self.cookie}"
        sent: dict[str, Any] = {"data": raw} if raw is not None else {}
        if body is not None:
            sent["json"] = body
        async with self.http.request(
            method,
            self.endpoint + path,
            headers={name: text for name, text in headers.items() if text},
            allow_redirects=False,
            **sent,
        ) as answer:
            data = await answer.read()
            return Answer(answer.status, answer.headers, data)

    async def log_in(self, name: str, password: str | None = None) -> Answer:
        """Keeps the cookie that it is given."""
        body = {
            "username": f"{name}@example.com",
            "password": password or f"password of {name}",
        }
        answer = await self.ask("POST", "/server/login", body)
        self.cookie = answer.headers.get("X-BackendAI-SessionID", self.cookie)
        return answer


def trusting_settings(
    module_dir: Path,
    filled: managers.Filled,
    make_database: Callable[[str | None], str],
    redis_url: str,
    etcd_addr: str,
) -> ManagerSettings:
    """Of a manager that believes the webserver whom it asks for."""
    shutil.copy(filled.secret_key, module_dir / "secret.key")
    dsn = make_database(filled.dsn)
    made = managers.make_settings(module_dir, dsn, redis_url, etcd_addr)
    return replace(made, manager=replace(made.manager, trusted_proxies=("127.0.0.1",)))


@pytest.fixture(scope="module")
def settings(
    module_dir: Path,
    filled: managers.Filled,
    make_database: Callable[[str | None], str],
    redis_url: str,
    etcd_addr: str,
) -> ManagerSettings:
    return trusting_settings(module_dir, filled, make_database, redis_url, etcd_addr)


@pytest.fixture
async def webserver(
    manager: Manager, settings: ManagerSettings, tmp_path: Path
) -> AsyncIterator[str]:
    """Its address."""
    own = make_settings(f"http://{manager.address}", settings.redis, tmp_path)
    async with running_webserver(own) as (_, address):
        yield address


@pytest.fixture
def browse(webserver: str, http: aiohttp.ClientSession) -> Callable[[], Browser]:
    return lambda: Browser(http, webserver)


@pytest.fixture
async def alice(browse: Callable[[], Browser]) -> Browser:
    """Logged in."""
    browser = browse()
    answer = await browser.log_in("alice")
    assert answer.json["authenticated"], answer.body
    return browser


@pytest.fixture
def nobody(browse: Callable[[], Browser]) -> Browser:
    return browse()
