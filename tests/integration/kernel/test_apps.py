"""Apps of the image: started when asked, once, and ended; what does not start says why."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from backendai.kernel.connect import open_door
from backendai.kernel.peer import RunnerError
from backendai.kernel.wire import (
    AppEntry,
    DeclaredApp,
    ListApps,
    StartApp,
    StartAppReply,
    StopApp,
    StopAppReply,
)

from .conftest import ASK_SECONDS, Kernel, StartKernel, wait_until

# A program that the platform knows by name, and that answers with what it was given.
PROGRAM = f"""#!{sys.executable}
import os, socketserver, sys
print("starting up", flush=True)
if os.environ.get("FAIL"):
    sys.exit("it cannot be: " + os.environ["FAIL"])
port = int(next(word for word in sys.argv if word.startswith("--port=")).partition("=")[2])
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(repr((os.getpid(), sys.argv[1:], os.environ.get("GIVEN"))).encode())
class Server(socketserver.TCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", port), Handler).serve_forever()
"""


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
async def kernel(start_kernel: StartKernel, tmp_path: Path) -> Kernel:
    """With a program `tensorboard` in its PATH, and an app that nobody knows how to start."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tensorboard").write_text(PROGRAM)
    (folder / "tensorboard").chmod(0o755)
    apps = [
        DeclaredApp(name="tensorboard", protocol="http", ports=[find_free_port()]),
        DeclaredApp(name="mystery", protocol="tcp", ports=[find_free_port()]),
    ]
    return await start_kernel(apps=apps, environ={"PATH": f"{folder}:{os.environ['PATH']}"})


async def read_answer(kernel: Kernel) -> tuple[int, list[str], str | None]:
    with await open_door(kernel.run_dir, "tensorboard", 0, ASK_SECONDS) as door:
        data = await asyncio.get_running_loop().sock_recv(door, 10_000)
    pid, words, given = eval(data)
    return pid, words, given


async def find_entry(kernel: Kernel, name: str) -> AppEntry:
    listed: list[AppEntry] = (await kernel.ask(ListApps())).apps
    return next(app for app in listed if app.name == name)


async def test_an_app_is_started_once_and_ended(kernel: Kernel) -> None:
    with pytest.raises(RunnerError) as caught:
        await read_answer(kernel)
    assert caught.value.code == "not-started"
    ask = StartApp(name="tensorboard", arguments={"--logdir": "x"}, envs={"GIVEN": "1"})
    first, second = await asyncio.gather(kernel.ask(ask), kernel.ask(ask))
    assert sorted([first.is_new, second.is_new]) == [False, True]
    entry = await find_entry(kernel, "tensorboard")
    assert entry.is_running
    reply = await kernel.ask(StartApp(name="tensorboard"))
    assert reply == StartAppReply(protocol="http", ports=entry.ports, is_new=False)
    pid, words, given = await read_answer(kernel)
    assert words[-2:] == ["--logdir", "x"]
    assert given == "1"
    assert await kernel.ask(StopApp(name="tensorboard")) == StopAppReply(True)
    assert await kernel.ask(StopApp(name="tensorboard")) == StopAppReply(False)
    assert not (await find_entry(kernel, "tensorboard")).is_running
    assert (await kernel.ask(StartApp(name="tensorboard"))).is_new
    assert (await read_answer(kernel))[0] != pid
    assert "starting up" in (kernel.run_dir / "log" / "tensorboard.log").read_text()


async def test_an_app_that_ends_at_once_says_what_it_said(kernel: Kernel) -> None:
    with pytest.raises(RunnerError, match="exit code 1; it said last") as caught:
        await kernel.ask(StartApp(name="tensorboard", envs={"FAIL": "no disk"}))
    assert caught.value.code == "not-started"
    assert "starting up\nit cannot be: no disk" in caught.value.message
    assert (await kernel.ask(StartApp(name="tensorboard"))).is_new


async def test_an_app_that_nobody_knows_how_to_start_may_be_started_by_the_user(
    kernel: Kernel,
) -> None:
    port = (await find_entry(kernel, "mystery")).ports[0]
    with pytest.raises(RunnerError, match=rf"nothing listens on port {port}.*start it") as caught:
        await kernel.ask(StartApp(name="mystery"))
    assert caught.value.code == "not-started"
    with socket.create_server(("127.0.0.1", port)):
        reply = await kernel.ask(StartApp(name="mystery"))
        assert (reply.is_new, reply.ports) == (False, [port])


async def test_what_is_not_offered_is_neither_started_nor_stopped(kernel: Kernel) -> None:
    for ask in (StartApp(name="nobody"), StopApp(name="nobody")):
        with pytest.raises(RunnerError) as caught:
            await kernel.ask(ask)
        assert caught.value.code == "unknown-app"
    with pytest.raises(RunnerError, match="tensorboard has no port 22") as caught:
        await kernel.ask(StartApp(name="tensorboard", port=22))
    assert caught.value.code == "bad-request"


async def test_an_app_that_was_stopped_while_it_started_is_told(kernel: Kernel) -> None:
    # The port is one on which it will never listen: somebody else's address is in its way.
    starting = asyncio.create_task(
        kernel.ask(StartApp(name="tensorboard", arguments={"--port=1": None}))
    )

    async def is_running() -> bool:
        return (await find_entry(kernel, "tensorboard")).is_running

    await wait_until(is_running, "the program runs")
    await kernel.ask(StopApp(name="tensorboard"))
    with pytest.raises(RunnerError):
        await starting


async def test_apps_end_with_the_kernel(kernel: Kernel) -> None:
    await kernel.ask(StartApp(name="tensorboard"))
    pid, _, _ = await read_answer(kernel)
    kernel.process.terminate()
    await kernel.wait_for_exit()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
