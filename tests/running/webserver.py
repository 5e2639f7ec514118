"""A webserver in this process, before a manager wherever that is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from backendai.common.secretfile import write_secret_key
from backendai.common.settings.load import check_settings
from backendai.common.settings.sections import RedisSettings
from backendai.webserver.app import Webserver, make_webserver, run_webserver
from backendai.webserver.settings import WebserverSettings
from tests.running.apart import apart

INDEX: Final = '<!doctype html><meta name="csp-nonce" content="{{nonce}}"><title>pages</title>\n'


def make_settings(
    manager: str, redis: RedisSettings, folder: Path, **webserver: Any
) -> WebserverSettings:
    """Settings of a webserver before the manager at an address."""
    key, pages = folder / "webserver.secret", folder / "pages"
    if not key.exists():
        write_secret_key(key)
        pages.mkdir()
        (pages / "index.html").write_text(INDEX)
        (pages / "assets").mkdir()
        (pages / "assets" / "app.js").write_text("let x = 1;\n")
    data = {
        "webserver": {
            "service-addr": "127.0.0.1:0",
            "secret-key-file": str(key),
            "static-path": str(pages),
            **webserver,
        },
        "api": {"endpoint": [manager]},
        "redis": {
            "addr": {"host": redis.addr.host, "port": redis.addr.port},
            "password": redis.password,
            "db": redis.db,
        },
    }
    return check_settings(WebserverSettings, data, "test")


@asynccontextmanager
async def running_webserver(settings: WebserverSettings) -> AsyncIterator[tuple[Webserver, str]]:
    made = make_webserver(settings)
    async with apart(run_webserver(made)) as address:
        yield made, f"http://{address}"
