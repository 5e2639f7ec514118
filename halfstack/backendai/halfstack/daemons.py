"""The manager and the agent of this machine: their files, and how the supervisor runs them."""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai.common.rpc.curve import ensure_keypair
from backendai.common.settings.render import render_toml

from .engine import Engine
from .places import Layout, write_file
from .services import Probe, Service
from .stores import StoreAddresses, split_address

KERNEL_ID = 1000


@dataclass(frozen=True)
class Plan:
    """Everything that the configuration files are made from."""

    layout: Layout
    addresses: StoreAddresses
    engine: Engine
    bundle: Path
    manager_port: int
    agent_port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.manager_port}"

    @property
    def agent_id(self) -> str:
        return name_agent(self.layout)


def name_agent(layout: Layout) -> str:
    """Containers carry it, so it differs between the instances of a machine."""
    return f"i-{layout.instance}"


def write_configs(plan: Plan) -> None:
    """`manager.toml`, `agent.toml` and the keys that they name. Idempotent."""
    etc = plan.layout.etc
    manager_key = ensure_keypair(etc / "manager.key")
    ensure_keypair(etc / "agent.key")
    write_file(etc / "manager-public-keys", manager_key.public + "\n")
    sealing_key = etc / "manager.secret"
    if not sealing_key.exists():
        write_file(sealing_key, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    for name, values in (("manager", _compose_manager(plan)), ("agent", _compose_agent(plan))):
        write_file(etc / f"{name}.toml", render_toml(values))


def specify_daemons(plan: Plan, stores: tuple[str, ...]) -> tuple[Service, Service]:
    """The services to keep. A changed file means a restart, so its content is in the digest."""
    manager = Service(
        name="manager",
        argv=_command("mgr", "start-server", "-f", plan.layout.etc / "manager.toml"),
        probe=Probe("http", "127.0.0.1", plan.manager_port, "/"),
        env=_mark(plan, "manager"),
        cwd=str(plan.layout.root),
        after=stores,
        address=plan.endpoint,
        stop_seconds=20.0,
    )
    agent = Service(
        name="agent",
        argv=_command("ag", "start-server", "-f", plan.layout.etc / "agent.toml"),
        probe=Probe("tcp", "127.0.0.1", plan.agent_port),
        env=_mark(plan, "agent"),
        cwd=str(plan.layout.root),
        after=(
            *(name for name in stores if name == "etcd"),
            *(["dockerd"] if plan.engine.own else []),
        ),
        address=f"tcp://127.0.0.1:{plan.agent_port}",
        stop_seconds=20.0,
    )
    return manager, agent


def find_program() -> Path:
    """`backendai` of the environment that is running."""
    return Path(sys.executable).with_name("backendai")


def _command(*words: str | Path) -> tuple[str, ...]:
    return (str(find_program()), *(str(word) for word in words))


def _mark(plan: Plan, name: str) -> dict[str, str]:
    content = (plan.layout.etc / f"{name}.toml").read_bytes()
    mark = {"BAI_CONFIG_DIGEST": hashlib.sha256(content).hexdigest()[:16]}
    # The agent must see the daemon of its file, whatever the caller's shell says.
    return {**mark, "DOCKER_HOST": plan.engine.docker_host} if name == "agent" else mark


def _compose_manager(plan: Plan) -> Mapping[str, Any]:
    layout = plan.layout
    db_host, db_port, user, password, database = split_address(plan.addresses.postgres)
    return {
        "etcd": _compose_etcd(plan),
        "db": {
            "addr": {"host": db_host, "port": db_port or 5432},
            "name": database,
            "user": user,
            "password": password,
        },
        "redis": _compose_redis(plan),
        "manager": {
            "id": f"m-{layout.instance}",
            "service-addr": {"host": "127.0.0.1", "port": plan.manager_port},
            "rpc-keypair": str(layout.etc / "manager.key"),
            "secret-key-file": str(layout.etc / "manager.secret"),
            "heartbeat-timeout": 15.0,
            "pid-file": str(layout.run / "manager.pid"),
        },
        "logging": {"level": "INFO", "format": "json"},
    }


def _compose_agent(plan: Plan) -> Mapping[str, Any]:
    layout = plan.layout
    address = {"host": "127.0.0.1", "port": plan.agent_port}
    return {
        "etcd": _compose_etcd(plan),
        "agent": {
            "mode": plan.engine.backend,
            "id": plan.agent_id,
            "rpc-listen-addr": address,
            "advertised-rpc-addr": address,
            "rpc-keypair": str(layout.etc / "agent.key"),
            "manager-public-keys-file": str(layout.etc / "manager-public-keys"),
            "region": "local",
            "resource-group": "default",
            "state-dir": str(layout.data / "agent"),
            "bundle-dir": str(plan.bundle),
            "image-dir": str(layout.rootfs),
        },
        "container": _compose_container(plan),
        "resource": _reserve(),
        "logging": {"level": "INFO", "format": "json"},
    }


def _compose_container(plan: Plan) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "kernel-uid": KERNEL_ID,
        "kernel-gid": KERNEL_ID,
        "scratch-root": str(plan.layout.root / "scratch"),
        "bind-host": "127.0.0.1",
    }
    if plan.engine.docker_host:
        values["docker-host"] = plan.engine.docker_host
    return values


def _compose_etcd(plan: Plan) -> Mapping[str, Any]:
    address = {"host": plan.addresses.etcd_host, "port": plan.addresses.etcd_port}
    return {"namespace": "local", "addr": address}


def _compose_redis(plan: Plan) -> Mapping[str, Any]:
    host, port, _, password, database = split_address(plan.addresses.redis)
    values: dict[str, Any] = {
        "addr": {"host": host, "port": port or 6379},
        "db": int(database or 0),
    }
    return {**values, "password": password} if password else values


def _reserve() -> Mapping[str, Any]:
    """What the machine keeps for itself: an eighth of the memory, at most 1 GiB, and no core."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    mebibytes = min(1024, total // 8 // 1024**2)
    return {"reserved-cpu": 0, "reserved-mem": f"{mebibytes}m"}


def digest_of(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:16]
