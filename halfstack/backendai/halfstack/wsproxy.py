"""The app proxy of this machine: its files, and how the resource group knows of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backendai.client.client import Client
from backendai.client.config import Config
from backendai.common.settings.render import render_toml

from .accounts import GROUP, load_accounts
from .daemons import RELAY_SECRET, Core, command, compose_db, compose_monitoring, mark
from .places import Layout, write_file
from .services import Probe, Service
from .stores import StoreAddresses

# What an operator has put there instead stays.
_OWN: Final = "http://127.0.0.1:"


@dataclass(frozen=True)
class AppProxy:
    """What the app proxy's file is made from."""

    layout: Layout
    addresses: StoreAddresses
    port: int
    watch_port: int

    @property
    def address(self) -> str:
        return f"{_OWN}{self.port}"


def write_app_proxy_config(proxy: AppProxy) -> None:
    """`wsproxy.toml`; the secret that it names is written with the manager's. Idempotent."""
    write_file(proxy.layout.etc / "wsproxy.toml", render_app_proxy_config(proxy))


def render_app_proxy_config(proxy: AppProxy) -> str:
    return render_toml(_compose(proxy))


def specify_app_proxy(proxy: AppProxy, stores: tuple[str, ...]) -> Service:
    return Service(
        name="wsproxy",
        argv=command("wsproxy", "start-server", "-f", proxy.layout.etc / "wsproxy.toml"),
        probe=Probe("http", "127.0.0.1", proxy.port, "/status"),
        env=mark(proxy.layout, "wsproxy"),
        cwd=str(proxy.layout.root),
        after=tuple(name for name in stores if name == "postgres"),
        address=proxy.address,
        stop_seconds=10.0,
    )


async def announce_app_proxy(core: Core, proxy: AppProxy) -> None:
    """Let managers ask it for ways into the apps of the first resource group. Raises Faults."""
    admin = load_accounts(core.layout)[0]
    config = Config((core.endpoint,), admin.access_key, admin.secret_key)
    async with Client(config) as client:
        group = await client.resource_groups.find(GROUP)
        known = (group.wsproxy_addr or "") if group is not None else proxy.address
        if known != proxy.address and (not known or known.startswith(_OWN)):
            await client.resource_groups.modify(GROUP, wsproxy_addr=proxy.address)


def _compose(proxy: AppProxy) -> Mapping[str, Any]:
    layout = proxy.layout
    return {
        "wsproxy": {
            "service-addr": {"host": "127.0.0.1", "port": proxy.port},
            "pid-file": str(layout.run / "wsproxy.pid"),
        },
        "relay": {"secret-key-file": str(layout.etc / RELAY_SECRET)},
        "db": compose_db(proxy.addresses),
        "monitoring": compose_monitoring(proxy.watch_port),
        "logging": {"level": "INFO", "format": "json"},
    }
