"""The same container without a platform: made by the docker SDK from one of ours, as a peer."""

import asyncio
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import docker

from backendai.kernel.peer import RunnerGone, RunnerPeer
from backendai.kernel.wire import LOG_PATH, SETUP_NAME, SOCKET_NAME, Hello

RUN_TARGET: Final = "/run/backendai"
READY_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.002
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Model:
    """What a container of ours was made from; `folder` is where the copies' directories go."""

    config: dict[str, Any]
    host: dict[str, Any]
    network: str
    setup: bytes
    owner: tuple[int, int]
    folder: Path


@dataclass(frozen=True)
class RawKernel:
    """A container made outside of the platform and the directory of its runner's socket."""

    container: str
    run_dir: Path


@contextmanager
def copy_model(client: docker.DockerClient, container: str) -> Iterator[Model]:
    """Read how `container` was made, before it is gone."""
    found = client.api.inspect_container(container)
    run_dir = Path(next(m["Source"] for m in found["Mounts"] if m["Destination"] == RUN_TARGET))
    about = run_dir.stat()
    folder = Path(tempfile.mkdtemp(prefix="bai-bench-", dir=run_dir.parent.parent.parent))
    folder.chmod(0o711)
    try:
        yield Model(
            config=found["Config"] | {"Labels": {}},
            host=found["HostConfig"],
            network=found["HostConfig"]["NetworkMode"],
            setup=(run_dir / SETUP_NAME).read_bytes(),
            owner=(about.st_uid, about.st_gid),
            folder=folder,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_raw(client: docker.DockerClient, model: Model) -> RawKernel:
    """Create, start, and wait until the runner inside answers."""
    number = next(_numbers)
    fresh = _with_own_folders(model, number)
    body = {
        **fresh.config,
        "HostConfig": fresh.host,
        "NetworkingConfig": {"EndpointsConfig": {model.network: {}}},
    }
    name = f"bench.{os.getpid()}.{number}"
    engine: Any = client.api
    made = str(engine.create_container_from_config(body, name)["Id"])
    engine.start(made)
    run_dir = model.folder / str(number) / "run"
    asyncio.run(_await_answer(run_dir / SOCKET_NAME))
    return RawKernel(made, run_dir)


def remove_raw(client: docker.DockerClient, kernel: RawKernel) -> None:
    client.api.remove_container(kernel.container, force=True)


def _with_own_folders(model: Model, number: int) -> Model:
    """Writable mounts become new directories; making them costs the platform time, so here too."""
    own = model.folder / str(number)
    mounts = []
    for mount in model.host["Mounts"]:
        if not mount.get("ReadOnly"):
            target = str(mount["Target"])
            source = own / ("run" if target == RUN_TARGET else target.strip("/").replace("/", "-"))
            source.mkdir(parents=True)
            os.chown(source, *model.owner)
            mounts.append({**mount, "Source": str(source)})
        else:
            mounts.append(mount)
    logs, setup = (own / "run" / LOG_PATH).parent, own / "run" / SETUP_NAME
    logs.mkdir()
    setup.write_bytes(model.setup)
    for path in (logs, setup):
        os.chown(path, *model.owner)
    return replace(model, host={**model.host, "Mounts": mounts})


async def _await_answer(socket_path: Path) -> None:
    peer = RunnerPeer(socket_path)
    deadline = time.monotonic() + READY_SECONDS_MAX
    try:
        while time.monotonic() < deadline:
            with suppress(RunnerGone, TimeoutError):
                await peer.ask(Hello(), READY_SECONDS_MAX)
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise TimeoutError(f"no runner at {socket_path} after {READY_SECONDS_MAX:g} s")
    finally:
        await peer.close()
