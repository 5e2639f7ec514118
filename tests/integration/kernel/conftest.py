"""A real runner with real sockets: as a plain process, or from the bundle in a sandbox."""

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from backendai.kernel import wire
from backendai.kernel.bundle import Bundle, build_bundle
from backendai.kernel.peer import RunnerGone, RunnerPeer
from backendai.kernel.wire import Execute, ExecuteReply, Hello, KernelSetup, StartApp

ASK_SECONDS = 60.0
ADDRESS = "http://session.example"
PLAIN = [sys.executable, "-m", "backendai.kernel.runner.main"]
HOST_USR = [
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
]


@dataclass
class Kernel:
    """A started runner, its folders and a peer of it."""

    process: subprocess.Popen[bytes]
    run_dir: Path
    work_dir: Path
    peer: RunnerPeer
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def ask(self, request: wire.Ask) -> Any:
        return await self.peer.ask(request, ASK_SECONDS)

    async def begin(self, code: str, *, flush_seconds: float = 10, **extra: Any) -> ExecuteReply:
        run_id = extra.pop("run_id", None) or f"run-{next(self.numbers)}"
        mode = extra.pop("mode", "query")
        return await self.ask(
            Execute(run_id=run_id, mode=mode, code=code, flush_seconds=flush_seconds, **extra)
        )

    async def go_on(self, run_id: str, *, flush_seconds: float = 10, **extra: Any) -> ExecuteReply:
        return await self.begin(
            "", mode="continue", run_id=run_id, flush_seconds=flush_seconds, **extra
        )

    async def run(self, code: str, **extra: Any) -> list[ExecuteReply]:
        """All replies of a run to its end."""
        replies = [await self.begin(code, **extra)]
        while replies[-1].status not in ("finished", "exec-timeout"):
            replies.append(await self.go_on(replies[0].run_id))
        return replies

    def read_log(self) -> str:
        return (self.run_dir / wire.LOG_PATH).read_text()

    async def wait_for_exit(self) -> int:
        return await asyncio.to_thread(self.process.wait, ASK_SECONDS)

    def read_exit(self) -> wire.ExitRecord:
        return msgspec.json.decode(
            (self.run_dir / wire.EXIT_NAME).read_bytes(), type=wire.ExitRecord
        )


def text_of(replies: list[ExecuteReply], kind: str = "stdout") -> str:
    return "".join(str(item[1]) for reply in replies for item in reply.console if item[0] == kind)


async def wait_until(check: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + ASK_SECONDS
    while not await check():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        await asyncio.sleep(0.005)


StartKernel = Callable[..., Awaitable[Kernel]]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Built once; BAI_BUNDLE_CACHE names a folder to keep it in between test runs."""
    cache = os.environ.get("BAI_BUNDLE_CACHE")
    return build_bundle(Path(cache) if cache else tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def make_sandbox(bundle: Bundle) -> Callable[..., list[str]]:
    """The command of a runner from the bundle: `empty` has nothing else, `usr` the host's /usr."""

    def make(image: str, run_dir: Path, work_dir: Path, variables: dict[str, str]) -> list[str]:
        return [
            *("bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "LANG", "C"),
            *(word for item in variables.items() for word in ("--setenv", *item)),
            *(HOST_USR if image == "usr" else []),
            *("--ro-bind", str(bundle.path), "/opt/kernel"),
            *("--bind", str(run_dir), "/run/backendai", "--bind", str(work_dir), "/home/work"),
            *("--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--chdir", "/home/work"),
            "/opt/kernel/entry",
        ]

    return make


@pytest.fixture
async def start_kernel(
    tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[StartKernel]:
    """Starts runners with the fields of KernelSetup given; `image` starts it from the bundle,
    with `variables` as the image's own environment."""
    started: list[Kernel] = []

    async def start(
        image: str | None = None,
        *,
        ready: bool = True,
        variables: dict[str, str] | None = None,
        **setup: Any,
    ) -> Kernel:
        place = tmp_path / f"kernel-{len(started)}"
        run_dir, work_dir = place / "run", place / "work"
        run_dir.mkdir(parents=True)
        work_dir.mkdir()
        config = KernelSetup(kernel_id="k", **setup)
        (run_dir / wire.SETUP_NAME).write_bytes(msgspec.json.encode(config))
        if image is None:
            command = [*PLAIN, "--run-dir", str(run_dir), "--work-dir", str(work_dir)]
        else:
            command = request.getfixturevalue("make_sandbox")(
                image, run_dir, work_dir, variables or {}
            )
        process = await asyncio.to_thread(subprocess.Popen, command)
        kernel = Kernel(process, run_dir, work_dir, RunnerPeer(run_dir / wire.SOCKET_NAME))
        started.append(kernel)
        if ready:
            await wait_until(lambda: is_query_ready(kernel), "the runner answers")
        return kernel

    yield start
    for kernel in started:
        await kernel.peer.close()
        kernel.process.terminate()
        await kernel.wait_for_exit()


async def is_query_ready(kernel: Kernel) -> bool:
    try:
        hello: wire.HelloReply = await kernel.ask(Hello())
    except RunnerGone:
        assert kernel.process.poll() is None, "the runner ended"
        return False
    return hello.query_ready


@pytest.fixture
async def kernel(start_kernel: StartKernel) -> Kernel:
    return await start_kernel()


@asynccontextmanager
async def open_web(kernel: Kernel, app: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser on the socket of a built-in app, which is started."""
    await kernel.ask(StartApp(name=app))
    folder = os.open(kernel.run_dir / wire.APPS_NAME, os.O_PATH)
    connector = aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{app}.sock")
    async with aiohttp.ClientSession(ADDRESS, connector=connector) as session:
        yield session
    os.close(folder)
