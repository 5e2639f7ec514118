"""The webserver of this machine: its files, and how the supervisor runs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendai.common.secretfile import write_secret_key
from backendai.common.settings.render import render_toml

from .daemons import command, compose_monitoring, compose_redis, mark
from .places import Layout, write_file
from .services import Probe, Service
from .stores import StoreAddresses


@dataclass(frozen=True)
class Web:
    """What the webserver's files are made from.

    `proxy` is where pages of other UIs ask the app proxy, `connects` are origins that ours may ask.
    """

    layout: Layout
    addresses: StoreAddresses
    port: int
    watch_port: int
    api: str
    proxy: str
    connects: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def write_web_config(web: Web) -> None:
    """`webserver.toml` and the key that it names. Idempotent."""
    key = web.layout.etc / "webserver.secret"
    if not key.exists():
        write_secret_key(key)
    write_file(web.layout.etc / "webserver.toml", render_web_config(web))


def render_web_config(web: Web) -> str:
    return render_toml(_compose(web))


def specify_web(web: Web) -> Service:
    return Service(
        name="webserver",
        argv=command("web", "start-server", "-f", web.layout.etc / "webserver.toml"),
        probe=Probe("http", "127.0.0.1", web.port, "/health"),
        env=mark(web.layout, "webserver"),
        cwd=str(web.layout.root),
        address=web.address,
    )


def _compose(web: Web) -> Mapping[str, Any]:
    layout = web.layout
    return {
        "webserver": {
            "service-addr": {"host": "127.0.0.1", "port": web.port},
            "secret-key-file": str(layout.etc / "webserver.secret"),
            "connect-sources": list(web.connects),
            "pid-file": str(layout.run / "webserver.pid"),
        },
        "api": {"endpoint": [web.api]},
        "redis": compose_redis(web.addresses),
        "monitoring": compose_monitoring(web.watch_port),
        "ui": {"wsproxy": {"proxyURL": f"{web.proxy}/"}},
        "logging": {"level": "INFO", "format": "json"},
    }
