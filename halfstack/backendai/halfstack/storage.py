"""The storage proxy of this machine: its files, its one volume, and how managers know of it."""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backendai.common.etcd import EtcdStore
from backendai.common.faults import StoreUnavailable
from backendai.common.settings.checks import HostPort
from backendai.common.settings.render import render_toml
from backendai.common.settings.sections import EtcdSettings

from .daemons import choose_kernel_ids, command, compose_monitoring, mark
from .places import Layout, write_file
from .services import Probe, Service
from .stores import StoreAddresses

PROXY: Final = "local"
VOLUME: Final = "volume1"
HOST: Final = f"{PROXY}:{VOLUME}"
PATIENCE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Storage:
    """What the storage proxy's files are made from. `owner` is the user and group of all files."""

    layout: Layout
    client_port: int
    manager_port: int
    watch_port: int
    owner: tuple[int, int] = field(default_factory=choose_kernel_ids)

    @property
    def client_api(self) -> str:
        return f"http://127.0.0.1:{self.client_port}"

    @property
    def manager_api(self) -> str:
        return f"http://127.0.0.1:{self.manager_port}"

    @property
    def volume(self) -> Path:
        return self.layout.data / "volumes" / VOLUME


@dataclass(frozen=True)
class StorageSecrets:
    """`tokens` signs those of uploads and downloads; managers prove themselves with `managers`."""

    tokens: str
    managers: str


def load_storage_secrets(layout: Layout) -> StorageSecrets:
    """Made at first use, and kept in a file of mode 0600."""
    path = layout.secrets / "storage.json"
    if not path.exists():
        made = {"tokens": secrets.token_urlsafe(32), "managers": secrets.token_urlsafe(32)}
        write_file(path, json.dumps(made, indent=1) + "\n")
    return StorageSecrets(**json.loads(path.read_text()))


def write_storage_config(storage: Storage) -> None:
    """`storage-proxy.toml` and the directory of the volume. Idempotent."""
    storage.volume.mkdir(mode=0o755, parents=True, exist_ok=True)
    known = load_storage_secrets(storage.layout)
    write_file(storage.layout.etc / "storage-proxy.toml", render_storage_config(storage, known))


def render_storage_config(storage: Storage, known: StorageSecrets | None = None) -> str:
    """Without secrets they have to come from the environment."""
    return render_toml(_compose(storage, known))


def specify_storage(storage: Storage) -> Service:
    file = storage.layout.etc / "storage-proxy.toml"
    return Service(
        name="storage",
        argv=command("storage", "start-server", "-f", file),
        probe=Probe("http", "127.0.0.1", storage.manager_port, "/"),
        env=mark(storage.layout, "storage-proxy"),
        cwd=str(storage.layout.root),
        address=storage.client_api,
        stop_seconds=10.0,
    )


async def announce_storage(
    storage: Storage, addresses: StoreAddresses, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Where managers find it. Raises StoreUnavailable.

    What an operator has said of hosts since, such as another default, stays. On a busy machine an
    etcd that is healthy may miss a deadline, so it is asked again.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return await _write_addresses(storage, addresses)
        except StoreUnavailable:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_RETRY_SECONDS)


async def _write_addresses(storage: Storage, addresses: StoreAddresses) -> None:
    known = load_storage_secrets(storage.layout)
    proxy = f"volumes/proxies/{PROXY}"
    pairs = {
        f"{proxy}/client_api": storage.client_api,
        f"{proxy}/manager_api": storage.manager_api,
        f"{proxy}/secret": known.managers,
        f"{proxy}/ssl_verify": "false",
    }
    first = {"volumes/default_host": HOST, "volumes/_types/user": "", "volumes/_types/group": ""}
    settings = EtcdSettings(addr=HostPort(addresses.etcd_host, addresses.etcd_port))
    async with EtcdStore(settings) as etcd:
        there = await etcd.get_prefix("volumes/")
        missing = {key: value for key, value in first.items() if key not in there}
        for key, value in (pairs | missing).items():
            if there.get(key) != value:
                await etcd.put(key, value)


def _compose(storage: Storage, known: StorageSecrets | None) -> Mapping[str, Any]:
    layout = storage.layout
    own = {"id": PROXY, "pid-file": str(layout.run / "storage-proxy.pid")}
    client = {"service-addr": {"host": "127.0.0.1", "port": storage.client_port}}
    manager: dict[str, Any] = {"service-addr": {"host": "127.0.0.1", "port": storage.manager_port}}
    uid, gid = storage.owner
    return {
        "storage-proxy": {
            **own,
            "uid": uid,
            "gid": gid,
            **({"secret": known.tokens} if known else {}),
        },
        "api": {
            "client": client,
            "manager": {**manager, **({"secret": known.managers} if known else {})},
        },
        "volume": {VOLUME: {"backend": "vfs", "path": str(storage.volume)}},
        "monitoring": compose_monitoring(storage.watch_port),
        "logging": {"level": "INFO", "format": "json"},
    }
