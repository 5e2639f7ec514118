"""The container engine: the machine's own Docker, or a private one under our supervisor.

containerd runs beside dockerd, not below it, so that a killed dockerd leaves containers alive
and finds them again.
"""

import asyncio
import json
import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .control import await_healthy, ensure_services, shut_down, start_supervisor, stop_services
from .faults import SetupFault
from .network import find_network, make_network, remove_network
from .places import Layout, write_file
from .probes import run_probe
from .services import Probe, Service
from .stores import bind_to_parent

_SYSTEM_SOCKET = "/var/run/docker.sock"
_NEEDED = ("dockerd", "containerd", "runc", "iptables", "ip")
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Engine:
    """What runs containers. `docker_host` is empty for the process backend; `reason` tells why."""

    backend: Literal["docker", "process"]
    docker_host: str
    own: bool
    reason: str


async def find_engine(layout: Layout, configured: str | None = None) -> Engine:
    """A configured or running daemon, else a private one, else sandboxed processes."""
    named = configured or os.environ.get("DOCKER_HOST")
    if named:
        return await _check_named(named)
    if not await run_probe(Probe("http", _SYSTEM_SOCKET, path="/_ping")):
        return Engine("docker", f"unix://{_SYSTEM_SOCKET}", False, "Docker runs on this machine")
    if os.geteuid() != 0:
        return Engine("process", "", False, _tell_no_access())
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        return Engine("process", "", False, f"not installed: {', '.join(missing)}")
    return Engine("docker", own_docker_host(layout), True, "no Docker daemon runs: our own")


def own_docker_host(layout: Layout) -> str:
    return f"unix://{layout.run / 'docker.sock'}"


def prepare_engine(layout: Layout) -> tuple[Service, Service]:
    """Configuration and bridge of a private engine; returns containerd and dockerd."""
    network = make_network(layout)
    containerd = _specify_containerd(layout)
    settings = {
        "hosts": [own_docker_host(layout)],
        "containerd": str(layout.run / "containerd.sock"),
        "data-root": str(layout.data / "docker"),
        "exec-root": str(layout.run / "docker"),
        "pidfile": str(layout.run / "docker.pid"),
        "bridge": network.bridge,
        "default-address-pools": [{"base": network.pool, "size": 26}],
        "cgroup-parent": f"/bai-{layout.instance}",
        "live-restore": True,
        "userland-proxy": False,
        "group": "",
        "log-level": "warn",
        "default-ulimits": {"nofile": _limit_open_files()},
        "shutdown-timeout": 5,
    }
    config = layout.etc / "dockerd.json"
    write_file(config, json.dumps(settings, indent=1) + "\n")
    dockerd = Service(
        name="dockerd",
        # A pid file of a killed dockerd may name a process of somebody else by now.
        wrapper=("/bin/sh", "-c", 'rm -f "$0" && exec "$@"', str(layout.run / "docker.pid")),
        argv=(shutil.which("dockerd") or "dockerd", "--config-file", str(config)),
        probe=Probe("http", str(layout.run / "docker.sock"), path="/_ping"),
        after=("containerd",),
        address=own_docker_host(layout),
        stop_seconds=20.0,
    )
    return containerd, dockerd


@asynccontextmanager
async def run_engine(base_dir: Path) -> AsyncIterator[str]:
    """A private Docker daemon for tests; yields its DOCKER_HOST, leaves nothing behind."""
    layout = Layout(base_dir)
    await start_supervisor(layout, dies_with_parent=True)
    try:
        services = [bind_to_parent(service) for service in prepare_engine(layout)]
        await ensure_services(layout, services)
        await await_healthy(layout, ["containerd", "dockerd"], _READY_SECONDS)
        yield own_docker_host(layout)
    finally:
        await remove_engine(layout)
        await shut_down(layout)
        remove_tree(layout.run)


async def remove_engine(layout: Layout) -> None:
    """Every container, network, mount, cgroup and bridge of the private engine, and itself.

    The daemon has to run: it alone knows how to take containers apart.
    """
    with suppress(OSError):
        await asyncio.to_thread(_remove_containers, own_docker_host(layout))
    await stop_services(layout, ["dockerd", "containerd"])
    network = find_network(layout)
    if network is not None:
        await asyncio.to_thread(remove_network, network)
    remove_cgroups(f"bai-{layout.instance}")
    for place in (layout.data / "docker", layout.data / "containerd", layout.run / "docker"):
        remove_tree(place)


def remove_tree(place: Path) -> None:
    """Unmount whatever is mounted below, then delete. Missing is fine."""
    for mounted in reversed(_list_mounts(place)):
        subprocess.run(["umount", "--lazy", mounted], check=False, capture_output=True)
    if place.exists():
        shutil.rmtree(place)


def _specify_containerd(layout: Layout) -> Service:
    socket = layout.run / "containerd.sock"
    config = layout.etc / "containerd.toml"
    lines = [
        "version = 2",
        f"root = {json.dumps(str(layout.data / 'containerd'))}",
        f"state = {json.dumps(str(layout.run / 'containerd'))}",
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        "[grpc]",
        f"address = {json.dumps(str(socket))}",
        "[debug]",
        'level = "warn"',
    ]
    write_file(config, "\n".join(lines) + "\n")
    return Service(
        name="containerd",
        argv=(shutil.which("containerd") or "containerd", "--config", str(config)),
        probe=Probe("unix", str(socket)),
        address=f"unix://{socket}",
    )


def _limit_open_files() -> dict[str, Any]:
    # Without CAP_SYS_RESOURCE nobody may go above the hard limit, and a container that asks
    # for more does not start at all.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1048576 if hard == resource.RLIM_INFINITY else min(hard, 1048576)
    return {"Name": "nofile", "Soft": most, "Hard": most}


async def _check_named(docker_host: str) -> Engine:
    problem = await run_probe(probe_docker_host(docker_host))
    if problem:
        raise SetupFault(
            f"the Docker daemon at {docker_host} does not answer: {problem}",
            "start it, or unset DOCKER_HOST and `docker-host` in bai.toml",
        )
    return Engine("docker", docker_host, False, "named by DOCKER_HOST or bai.toml")


def probe_docker_host(docker_host: str) -> Probe:
    scheme, _, rest = docker_host.partition("://")
    if scheme == "unix" and rest:
        return Probe("http", rest, path="/_ping")
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and port.isdigit():
        return Probe("http", host, int(port), "/_ping")
    raise SetupFault(
        f"{docker_host!r} is not an address of a Docker daemon",
        "write unix:///path/to/docker.sock or tcp://host:port",
    )


def _tell_no_access() -> str:
    if Path(_SYSTEM_SOCKET).exists() and not os.access(_SYSTEM_SOCKET, os.W_OK):
        return f"no permission for {_SYSTEM_SOCKET}: join the group docker, or run as root"
    return "no Docker daemon runs, and only root can start one"


def _remove_containers(docker_host: str) -> None:
    import docker

    client = docker.DockerClient(base_url=docker_host, timeout=60)
    try:
        for container in client.containers.list(all=True, ignore_removed=True):
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        client.networks.prune()
        client.volumes.prune()
    finally:
        client.close()


def _list_mounts(place: Path) -> list[str]:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    paths = [mount.encode().decode("unicode_escape") for mount in mounts]
    return [path for path in paths if path == str(place) or path.startswith(f"{place}/")]


def list_group_members(name: str) -> list[int]:
    """Processes in the cgroups of ours, in every hierarchy."""
    files = [path for top in _find_cgroups(name) for path in top.rglob("cgroup.procs")]
    return sorted({int(word) for path in files for word in path.read_text().split()})


def remove_cgroups(name: str) -> None:
    """The groups of ours that are empty, in every hierarchy."""
    for top in _find_cgroups(name):
        for folder in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()
    remove_childless_cgroups(name)


def remove_childless_cgroups(name: str) -> None:
    """The group of that name unless there are groups in it, in every hierarchy."""
    for top in _find_cgroups(name):
        with suppress(OSError):
            top.rmdir()


def _find_cgroups(name: str) -> set[Path]:
    top = Path("/sys/fs/cgroup")
    return {*top.glob(name), *top.glob(f"*/{name}")}
