"""`down`: stop in order. `down --purge`: leave nothing of this instance on the machine."""

import asyncio
import http
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from .control import (
    await_healthy,
    ensure_services,
    find_standings,
    shut_down,
    start_supervisor,
    stop_services,
)
from .daemons import find_docker_host, name_agent, name_interfaces
from .engine import (
    find_engine,
    list_group_members,
    own_docker_host,
    prepare_engine,
    remove_cgroups,
    remove_childless_cgroups,
    remove_engine,
    remove_tree,
)
from .faults import SetupFault
from .images import RECIPE_LABEL, find_cache
from .network import remove_chains
from .places import Layout
from .status import load_wanted
from .stores import NONE_EXTERNAL, ExternalStores

_AGENT_LABEL = "bai.agent"
_SANDBOX_GROUP = "backendai"
_ENGINE = ("containerd", "dockerd")
_ENGINE_SECONDS = 30.0


async def bring_down(layout: Layout, say: Callable[[str], None]) -> None:
    """Stop daemons, stores and our own engine. Containers go on and are found again by `up`."""
    if await _adopt(layout) is None:
        say("nothing runs")
        return
    say("stopping daemons and stores; containers of sessions go on for the next `./bai up`")
    await shut_down(layout)


async def purge(
    layout: Layout,
    configured_host: str | None,
    say: Callable[[str], None],
    external: ExternalStores = NONE_EXTERNAL,
) -> tuple[str, ...]:
    """Everything of this instance: containers, networks, images, processes, mounts, files.

    Returns what stays on the machine all the same, with what to do about it.
    """
    say("stopping the daemons")
    if await _adopt(layout) is not None:
        await stop_services(layout, ["webserver", "wsproxy", "agent", "manager", "storage"])
    say("removing containers and networks")
    remarks = await _purge_engine(layout, find_docker_host(layout) or configured_host)
    say("stopping the rest")
    if await find_standings(layout) is not None:
        await shut_down(layout)
    await asyncio.to_thread(kill_marked, layout)
    if os.geteuid() == 0 and shutil.which("iptables"):
        await asyncio.to_thread(remove_chains, name_interfaces(layout))
    # Another instance may be about to put a sandbox of its own into an empty one.
    for name in _list_sandboxes(layout):
        await asyncio.to_thread(remove_cgroups, f"{_SANDBOX_GROUP}/{name}")
    await asyncio.to_thread(remove_childless_cgroups, _SANDBOX_GROUP)
    await asyncio.to_thread(remove_cgroups, f"bai-{layout.instance}")
    say(f"deleting {layout.root}")
    for place in (layout.run, layout.root):
        await asyncio.to_thread(remove_tree, place)
    return (*remarks, *_tell_of_stores(external), *_tell_of_cache(find_cache()))


def _list_sandboxes(layout: Layout) -> list[str]:
    """The names that the agent gave to them, told from the folders that they ran in."""
    runs = (layout.root / "scratch").glob("*/run.*")
    return [f"bai.{run.parent.name}{run.suffix}" for run in runs]


def kill_marked(layout: Layout) -> None:
    """End what carries this instance's mark, is a sandbox on its files, or runs in its cgroups."""
    mark = f"BAI_INSTANCE={layout.instance}".encode()
    deadline = time.monotonic() + 10
    while found := [
        *(pid for pid in _list_pids() if mark in _read_words(pid, "environ")),
        *(pid for pid in _list_pids() if _is_sandbox(layout, pid)),
        *list_group_members(f"bai-{layout.instance}"),
    ]:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise SetupFault(f"processes {found} cannot be ended", "look at them with ps")
        time.sleep(0.05)


async def _adopt(layout: Layout) -> object:
    """A supervisor that knows what runs; None when there was never anything to run."""
    if await find_standings(layout) is None:
        if not load_wanted(layout):
            return None
        await start_supervisor(layout)
    return await find_standings(layout)


async def _purge_engine(layout: Layout, host: str | None) -> list[str]:
    if (layout.data / "docker").exists():
        await _revive_engine(layout)
        await remove_engine(layout)
        return []
    if host == own_docker_host(layout):
        return []
    try:
        engine = await find_engine(layout, host)
    except SetupFault as fault:
        return [f"containers and images of this instance may be left: {fault.problem}"]
    if engine.backend == "docker" and engine.docker_host != own_docker_host(layout):
        return await asyncio.to_thread(_purge_shared, engine.docker_host, name_agent(layout))
    return []


async def _revive_engine(layout: Layout) -> None:
    """Only a running daemon can take its containers apart; without one, the kernel's means do."""
    await start_supervisor(layout)
    with suppress(SetupFault):
        await ensure_services(layout, await asyncio.to_thread(prepare_engine, layout))
        await await_healthy(layout, _ENGINE, _ENGINE_SECONDS)


def _purge_shared(docker_host: str, agent_id: str) -> list[str]:
    """On a daemon that others use too, only what carries our labels; what of it had to stay."""
    import docker

    client: Any = docker.DockerClient(base_url=docker_host, timeout=60)
    chosen = {"label": f"{_AGENT_LABEL}={agent_id}"}
    try:
        for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=chosen):
            with suppress(docker.errors.NotFound):
                network.remove()
        kept = [tag for tag in _list_made(client) if not _remove_image(client, tag)]
    finally:
        client.close()
    words = f"other containers of {docker_host} use these images, so they stay"
    return [f"{words}: {', '.join(kept)}"] if kept else []


def _list_made(client: Any) -> list[str]:
    """Tags, or ids where there are none, of the images that were made here."""
    listed = client.api.images(filters={"label": RECIPE_LABEL})
    return [name for row in listed for name in (row["RepoTags"] or [row["Id"]])]


def _remove_image(client: Any, name: str) -> bool:
    """Whether it is gone. Without force: no container of somebody else loses its image."""
    import docker

    try:
        client.api.remove_image(name)
    except docker.errors.ImageNotFound:
        return True
    except docker.errors.APIError as error:
        if error.status_code == http.HTTPStatus.CONFLICT:
            return False
        raise
    return True


def _tell_of_cache(cache: Path) -> list[str]:
    if not cache.exists():
        return []
    told = "made images and runner bundles stay for the next `./bai up`, of any checkout"
    return [f"{told}; to be rid of them: rm -r {shlex.quote(str(cache))}"]


def _tell_of_stores(external: ExternalStores) -> list[str]:
    named = [name for name, address in vars(external).items() if address]
    told = "what this cluster wrote to stores that you run stays there"
    return [f"{told}: {', '.join(named)}"] if named else []


def _list_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_sandbox(layout: Layout, pid: int) -> bool:
    """Sandboxes start with an empty environment, but the folders they bind tell whose they are."""
    program, *words = _read_words(pid, "cmdline") or [b""]
    inside = os.fsencode(layout.root) + b"/"
    return Path(os.fsdecode(program)).name == "bwrap" and any(w.startswith(inside) for w in words)


def _read_words(pid: int, name: Literal["environ", "cmdline"]) -> list[bytes]:
    if pid == os.getpid():
        return []
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
