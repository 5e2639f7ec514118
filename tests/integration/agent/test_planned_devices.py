"""Fractions of a device from the command line to the kernel: a real manager, a real agent."""

import asyncio
import dataclasses
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backendai.common.rpc.curve import ensure_keypair
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api import conftest as managers
from tests.integration.manager.api.caller import Caller, until

from .conftest import Node, end_node

DEVICES = """
[[device]]
id = "gpu"
count = 2
slot = "cuda.shares"
quantum = "0.1"
"""

module_dir = managers.module_dir
http = managers.http


@pytest.fixture(scope="module")
def settings(
    module_dir: Path, postgres_dsn: str, redis_url: str, etcd_addr: str
) -> ManagerSettings:
    made = managers.make_settings(module_dir, postgres_dsn, redis_url, etcd_addr)
    ensure_keypair(module_dir / "manager.key")
    own = dataclasses.replace(made.manager, rpc_keypair=module_dir / "manager.key")
    made = dataclasses.replace(made, manager=own)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(managers.prepare(made))
    return made


@pytest.fixture
async def manager(settings: ManagerSettings) -> AsyncIterator[Manager]:
    async with managers.started(settings) as running:
        yield running


@pytest.fixture
def alice(manager: Manager, http: aiohttp.ClientSession) -> Caller:
    return Caller(http, manager.address, "AKALICE", "secret-of-alice")


@pytest.fixture
async def node(
    manager: Manager,
    settings: ManagerSettings,
    module_dir: Path,
    tmp_path: Path,
    image_dir: Path,
    bundle_dir: Path,
    etcd_addr: str,
) -> AsyncIterator[Node]:
    """An agent with two made-up GPUs that the manager finds by itself."""
    (tmp_path / "mock.toml").write_text(DEVICES)
    (tmp_path / "manager.key").write_bytes((module_dir / "manager.key").read_bytes())
    (tmp_path / "manager.key").chmod(0o600)
    options: dict[str, dict[str, object]] = {
        "etcd": {"namespace": settings.etcd.namespace},
        "accelerators": {"plugins": ["mock"], "mock": {"file": str(tmp_path / "mock.toml")}},
    }
    made = Node(
        tmp_path, "process", "unix:///nowhere", image_dir, bundle_dir, etcd_addr, options=options
    )
    made.start()
    try:
        await made.until(lambda report: report.engine_reachable)
        yield made
    finally:
        await end_node(made)


@pytest.fixture
def cli(manager: Manager) -> Callable[..., Any]:
    """`await cli("session", "create", …)` gives the exit code and the output."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BACKEND")},
        "BACKEND_ENDPOINT": f"http://{manager.address}",
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": "AKALICE",
        "BACKEND_SECRET_KEY": "secret-of-alice",
    }

    async def run(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "backendai"),
            *words,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    return run


async def test_sessions_share_devices_and_one_too_many_waits(
    node: Node, cli: Callable[..., Any], alice: Caller
) -> None:
    async def is_offered() -> bool:
        answer = await alice.ask("GET", "/config/resource-slots")
        return answer.status == 200 and answer.json.get("cuda.shares") == "count"

    await until(is_offered)
    names = [f"share-{uuid.uuid4().hex[:8]}" for _ in range(4)]
    create = ("session", "create", "-i", "busybox", "-r", "cpu=0.1", "-r", "mem=128m")
    for name, amount in zip(names, ("0.5", "0.5", "0.9"), strict=False):
        code, output = await cli(*create, "-t", name, "-r", f"cuda.shares={amount}")
        assert code == 0, output
    held = [one.devices["cuda.shares"] for one in (await node.observe()).kernels]
    assert sorted(held) == [["gpu-0=0.5"], ["gpu-0=0.5"], ["gpu-1=0.9"]]
    last = ("-t", names[3], "-r", "cuda.shares=0.2", "--enqueue-only")
    code, output = await cli(*create, *last)
    assert code == 0, output

    async def reason() -> str:
        answer = await alice.ask("GET", f"/session/{names[3]}/why")
        text = json.dumps(answer.json)
        return text if "not-enough-cuda.shares" in text else ""

    assert "0.1" in await until(reason)
    assert len((await node.observe()).kernels) == 3
    code, output = await cli("session", "terminate", names[0])
    assert code == 0, output

    async def is_running() -> bool:
        answer = await alice.ask("GET", f"/session/{names[3]}")
        return bool(answer.json["status"] == "RUNNING")

    assert await until(is_running, 30)


async def test_more_than_any_node_has_is_refused_with_numbers(
    node: Node, cli: Callable[..., Any], alice: Caller
) -> None:
    async def is_refused() -> str:
        code, output = await cli(
            "session", "create", "-i", "busybox", "-r", "cuda.shares=2.5", "--enqueue-only"
        )
        return str(output) if code and "largest node has 2" in output else ""

    assert "cuda.shares" in await until(is_refused, 30)
