"""The manager and the agent of this machine: their files, and how the supervisor runs them."""

import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendai.common.rpc.curve import ensure_keypair
from backendai.common.secretfile import write_secret_key
from backendai.common.settings.render import render_toml

from .engine import Engine
from .places import Layout, write_file
from .services import Probe, Service
from .stores import StoreAddresses, split_address

KERNEL_ID = 1000
# Of managers and app proxies: what tickets for the relays of agents are made with.
RELAY_SECRET = "relay.secret"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class Core:
    """What the manager's files are made from."""

    layout: Layout
    addresses: StoreAddresses
    manager_port: int
    watch_port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.manager_port}"


def choose_kernel_ids() -> tuple[int, int]:
    """User and group of kernels: root's run as an ordinary user, those of others as themselves."""
    return os.geteuid() or KERNEL_ID, os.getegid() or KERNEL_ID


def reserve_memory() -> int:
    """What the machine keeps for itself, in MiB: an eighth of its memory, at most 1 GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(1024, total // 8 // 1024**2)


@dataclass(frozen=True)
class Node:
    """What the agent's files are made from."""

    layout: Layout
    addresses: StoreAddresses
    agent_port: int
    relay_port: int
    watch_port: int
    engine: Engine
    bundles: Path
    kernel_ids: tuple[int, int] = field(default_factory=choose_kernel_ids)
    reserved_mebibytes: int = field(default_factory=reserve_memory)


def name_agent(layout: Layout) -> str:
    """Containers carry it, so it differs between the instances of a machine."""
    return f"i-{layout.instance}"


def name_interfaces(layout: Layout) -> str:
    """How the names of the agent's bridges and iptables chains begin."""
    return f"bai{hashlib.sha256(name_agent(layout).encode()).hexdigest()[:5]}"


def write_manager_config(core: Core) -> None:
    """`manager.toml` and the keys that it names. Idempotent."""
    etc = core.layout.etc
    key = ensure_keypair(etc / "manager.key")
    write_file(etc / "manager-public-keys", key.public + "\n")
    for name in ("manager.secret", RELAY_SECRET):
        if not (etc / name).exists():
            write_secret_key(etc / name)
    write_file(etc / "manager.toml", render_manager_config(core))


def write_agent_config(node: Node) -> None:
    ensure_keypair(node.layout.etc / "agent.key")
    write_file(node.layout.etc / "agent.toml", render_agent_config(node))


def render_manager_config(core: Core) -> str:
    return render_toml(_compose_manager(core))


def render_agent_config(node: Node) -> str:
    return render_toml(_compose_agent(node))


def find_docker_host(layout: Layout) -> str | None:
    """The engine that the last `up` gave to the agent, whatever the caller's shell says now."""
    path = layout.etc / "agent.toml"
    if not path.exists():
        return None
    host = tomllib.loads(path.read_text()).get("container", {}).get("docker-host")
    return str(host) if host else None


def specify_manager(core: Core, stores: tuple[str, ...]) -> Service:
    return Service(
        name="manager",
        argv=command("mgr", "start-server", "-f", core.layout.etc / "manager.toml"),
        probe=Probe("http", "127.0.0.1", core.manager_port, "/"),
        env=mark(core.layout, "manager"),
        cwd=str(core.layout.root),
        after=stores,
        address=core.endpoint,
        stop_seconds=20.0,
    )


def specify_agent(node: Node, stores: tuple[str, ...]) -> Service:
    needed = [name for name in stores if name == "etcd"] + ["dockerd"] * node.engine.own
    return Service(
        name="agent",
        argv=command("ag", "start-server", "-f", node.layout.etc / "agent.toml"),
        probe=Probe("tcp", "127.0.0.1", node.agent_port),
        # The agent must see the daemon of its file, whatever the caller's shell says.
        env={**mark(node.layout, "agent"), "DOCKER_HOST": node.engine.docker_host},
        cwd=str(node.layout.root),
        after=tuple(needed),
        address=f"tcp://127.0.0.1:{node.agent_port}",
        stop_seconds=20.0,
    )


def find_program() -> Path:
    """`backendai` of the environment that is running."""
    return Path(sys.executable).with_name("backendai")


def command(*words: str | Path) -> tuple[str, ...]:
    """`backendai` with these words, of the environment that is running."""
    return (str(find_program()), *(str(word) for word in words))


def mark(layout: Layout, name: str) -> dict[str, str]:
    """A changed file means a restart: its digest is a part of the service."""
    content = (layout.etc / f"{name}.toml").read_bytes()
    return {"BAI_CONFIG_DIGEST": hashlib.sha256(content).hexdigest()[:16]}


def compose_monitoring(port: int) -> Mapping[str, Any]:
    """`[monitoring]` of a daemon: for this machine alone."""
    return {"listen-addr": {"host": "127.0.0.1", "port": port}}


def compose_redis(addresses: StoreAddresses) -> Mapping[str, Any]:
    """`[redis]` of a daemon."""
    host, port, _, password, database = split_address(addresses.redis)
    values: dict[str, Any] = {
        "addr": {"host": host, "port": port or 6379},
        "db": int(database or 0),
    }
    return {**values, "password": password} if password else values


def _compose_manager(core: Core) -> Mapping[str, Any]:
    layout = core.layout
    return {
        "etcd": _compose_etcd(core.addresses),
        "db": compose_db(core.addresses),
        "redis": compose_redis(core.addresses),
        "manager": {
            "id": f"m-{layout.instance}",
            "service-addr": {"host": "127.0.0.1", "port": core.manager_port},
            "rpc-keypair": str(layout.etc / "manager.key"),
            "secret-key-file": str(layout.etc / "manager.secret"),
            "config-cache": str(layout.data / "manager.config.json"),
            "heartbeat-timeout": 15.0,
            # The webserver says whom it asks for.
            "trusted-proxies": ["127.0.0.1"],
            "pid-file": str(layout.run / "manager.pid"),
        },
        "relay": {"secret-key-file": str(layout.etc / RELAY_SECRET)},
        "monitoring": compose_monitoring(core.watch_port),
        "logging": {"level": "INFO", "format": "json"},
    }


def _compose_agent(node: Node) -> Mapping[str, Any]:
    layout = node.layout
    address = {"host": "127.0.0.1", "port": node.agent_port}
    return {
        "etcd": _compose_etcd(node.addresses),
        "agent": {
            "mode": node.engine.backend,
            "id": name_agent(layout),
            "rpc-listen-addr": address,
            "advertised-rpc-addr": address,
            "relay-listen-addr": {"host": "127.0.0.1", "port": node.relay_port},
            "rpc-keypair": str(layout.etc / "agent.key"),
            "manager-public-keys-file": str(layout.etc / "manager-public-keys"),
            "region": "local",
            "resource-group": "default",
            "state-dir": str(layout.data / "agent"),
            "bundle-dir": str(node.bundles),
            "image-dir": str(layout.rootfs),
            "pid-file": str(layout.run / "agent.pid"),
        },
        "container": _compose_container(node),
        "resource": {"reserved-cpu": 0, "reserved-mem": f"{node.reserved_mebibytes}m"},
        "monitoring": compose_monitoring(node.watch_port),
        "logging": {"level": "INFO", "format": "json"},
    }


def _compose_container(node: Node) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "kernel-uid": node.kernel_ids[0],
        "kernel-gid": node.kernel_ids[1],
        "scratch-root": str(node.layout.root / "scratch"),
    }
    if node.engine.docker_host:
        values["docker-host"] = node.engine.docker_host
    return values


def _compose_etcd(addresses: StoreAddresses) -> Mapping[str, Any]:
    address = {"host": addresses.etcd_host, "port": addresses.etcd_port}
    return {"namespace": "local", "addr": address}


def compose_db(addresses: StoreAddresses) -> Mapping[str, Any]:
    host, port, user, password, database = split_address(addresses.postgres)
    values = {"addr": {"host": host, "port": port or 5432}, "name": database, "user": user}
    return {**values, "password": password} if password else values


def digest_of(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:16]
