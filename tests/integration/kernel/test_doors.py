"""The door of a real runner: who comes through, who does not, and that nothing is left behind."""

import asyncio
import resource
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from backendai.kernel import wire
from backendai.kernel.connect import open_door
from backendai.kernel.peer import RunnerError, RunnerGone
from backendai.kernel.runner import doors
from backendai.kernel.wire import Connect, DeclaredApp, Failure

from .conftest import Kernel, StartKernel, wait_until

SECONDS = 20.0


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
async def kernel(start_kernel: StartKernel, echo: socket.socket) -> Kernel:
    port = echo.getsockname()[1]
    apps = [DeclaredApp(name="web", protocol="preopen", ports=[port, find_silent_port()])]
    return await start_kernel(apps=apps)


def find_silent_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def list_descriptors(kernel: Kernel) -> list[Path]:
    return list(Path(f"/proc/{kernel.process.pid}/fd").iterdir())


async def test_data_goes_past_the_runner_both_ways(kernel: Kernel, echo: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with await open_door(kernel.run_dir, "web", 0, SECONDS) as door:
        app, peer = await asyncio.to_thread(echo.accept)
        with app:
            assert peer[0] == "127.0.0.1"
            kernel.process.send_signal(signal.SIGSTOP)
            await loop.sock_sendall(door, b"ping")
            assert app.recv(10) == b"ping"
            app.sendall(b"pong")
            assert await loop.sock_recv(door, 10) == b"pong"
            door.shutdown(socket.SHUT_WR)
            assert app.recv(10) == b""
            kernel.process.send_signal(signal.SIGCONT)


async def test_an_app_that_listens_on_the_newer_loopback_alone_is_found(
    start_kernel: StartKernel,
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        apps = [DeclaredApp(name="six", protocol="http", ports=[port])]
        kernel = await start_kernel(apps=apps)
        with await open_door(kernel.run_dir, "six", port, SECONDS) as door:
            assert door.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("app", "port", "code", "words"),
    [
        ("nobody", 0, "unknown-app", "there is no app 'nobody' here; there are: ttyd"),
        ("web", 22, "bad-request", "web has no port 22"),
        ("", 0, "unknown-app", "there is no app ''"),
    ],
)
async def test_what_is_not_offered_is_refused(
    kernel: Kernel, app: str, port: int, code: str, words: str
) -> None:
    with pytest.raises(RunnerError, match=words) as caught:
        await open_door(kernel.run_dir, app, port, SECONDS)
    assert caught.value.code == code


async def test_a_port_on_which_nobody_listens_is_refused(kernel: Kernel) -> None:
    apps = (await kernel.ask(wire.ListApps())).apps
    silent = next(app for app in apps if app.name == "web").ports[1]
    with pytest.raises(RunnerError, match=f"web does not listen on port {silent}") as caught:
        await open_door(kernel.run_dir, "web", silent, SECONDS)
    assert caught.value.code == "refused"


async def test_the_greeting_names_the_apps(kernel: Kernel) -> None:
    greeting = await kernel.ask(wire.Hello())
    names = [app.name for app in greeting.apps]
    assert names[:4] == ["ttyd", "sshd", "files", "web"]
    assert greeting.apps == (await kernel.ask(wire.ListApps())).apps


def call(kernel: Kernel, data: bytes) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(SECONDS)
    caller.connect(str(kernel.run_dir / wire.DOOR_NAME))
    caller.sendall(data)
    return caller


def read_failure(caller: socket.socket) -> Failure:
    answer = wire.decode_connect_reply(caller.recv(10_000)[4:])
    assert isinstance(answer, Failure)
    return answer


def frame(value: object) -> bytes:
    payload = msgspec.msgpack.encode(value)
    return struct.pack(">I", len(payload)) + payload


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x10\x01",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x10\x00" + b"\x91" * 4096,
        frame({"type": "connect", "app": 7}),
        frame({"type": "connect", "app": "web", "port": "x"}),
        frame({"type": "dance"}),
    ],
)
async def test_garbage_is_refused_and_hung_up_on(kernel: Kernel, garbage: bytes) -> None:
    with await asyncio.to_thread(call, kernel, garbage) as caller:
        assert (await asyncio.to_thread(read_failure, caller)).code == "bad-request"
        # What was sent and not read makes the end a reset.
        with suppress(ConnectionResetError):
            assert caller.recv(10) == b""


async def test_nothing_leaks_through_many_who_come_and_go(
    kernel: Kernel, echo: socket.socket
) -> None:
    before = len(list_descriptors(kernel))
    frames = [wire.encode_frame(Connect(app="web")), b"\x00", b"", b"\x00\x00\x00\x03abc"]
    for _ in range(20):
        for data in frames:
            (await asyncio.to_thread(call, kernel, data)).close()
        (await open_door(kernel.run_dir, "web", 0, SECONDS)).close()
        with pytest.raises(RunnerError):
            await open_door(kernel.run_dir, "nobody", 0, SECONDS)

    async def is_as_before() -> bool:
        return len(list_descriptors(kernel)) <= before

    await wait_until(is_as_before, "the descriptors are closed")


async def test_callers_that_say_nothing_keep_nobody_out_for_long(
    tmp_path: Path, echo: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "ASK_SECONDS_MAX", 0.2)
    monkeypatch.setattr(doors, "AT_ONCE_MAX", 8)

    async def connect(_: Connect) -> socket.socket:
        return socket.create_connection(echo.getsockname())

    door = doors.Doors(connect, tmp_path)
    door.listen()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(16)]
    for caller in silent:
        caller.connect(str(tmp_path / wire.DOOR_NAME))
    (await open_door(tmp_path, "web", 0, SECONDS)).close()
    door.close()
    for caller in silent:
        caller.close()


async def test_without_descriptors_the_door_rests_and_opens_again(
    tmp_path: Path, echo: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    class Counted(doors.Doors):
        def _accept(self) -> None:
            nonlocal tries
            tries += 1
            super()._accept()

    async def connect(_: Connect) -> socket.socket:
        return socket.create_connection(echo.getsockname())

    monkeypatch.setattr(doors, "REST_SECONDS", 0.1)
    door = Counted(connect, tmp_path)
    door.listen()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(SECONDS)
        caller.connect(str(tmp_path / wire.DOOR_NAME))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            for _ in range(1000):
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert 1 <= tries < 100
    (await open_door(tmp_path, "web", 0, SECONDS)).close()
    door.close()


async def test_an_older_socket_is_replaced_and_a_dead_runner_is_gone(
    start_kernel: StartKernel, tmp_path: Path
) -> None:
    kernel = await start_kernel()
    mode = (kernel.run_dir / wire.DOOR_NAME).stat().st_mode
    assert mode & 0o777 == 0o600
    await kernel.ask(wire.Shutdown())
    assert await kernel.wait_for_exit() == 0
    with pytest.raises(RunnerGone):
        await open_door(kernel.run_dir, "ttyd", 0, SECONDS)
