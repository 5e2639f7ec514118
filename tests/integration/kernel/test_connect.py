"""The agent's end of the door against runners that lie, and what the socket that comes through can
be made to do by who shares it.
"""

import asyncio
import fcntl
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backendai.kernel import wire
from backendai.kernel.connect import Door, open_door
from backendai.kernel.peer import RunnerError, RunnerGone
from backendai.kernel.wire import ConnectReply, Failure

from .conftest import wait_until

OK = wire.encode_frame(ConnectReply())
SECONDS = 10.0

Answer = Callable[[socket.socket], object]
Play = Callable[[Answer], None]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """A runner whose door answers each ask as it is told; it holds its connections open."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / wire.DOOR_NAME))
    server.listen()
    answers: list[Answer] = []
    callers: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                caller, _ = server.accept()
                callers.append(caller)
                caller.recv(100)
                with suppress(OSError):
                    answers[-1](caller)

    thread = threading.Thread(target=serve)
    thread.start()
    yield answers.append
    server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for one in [server, *callers]:
        one.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        yield ours, theirs


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_is_passed_is_a_socket_of_ours(
    tmp_path: Path, play: Play, pair: tuple[socket.socket, socket.socket]
) -> None:
    play(lambda caller: socket.send_fds(caller, [OK], [pair[0].fileno()]))
    with await open_door(tmp_path, "app", 0, SECONDS) as door:
        assert door.gettimeout() == 0
        assert not door.get_inheritable()
        pair[1].sendall(b"hello")
        assert await asyncio.get_running_loop().sock_recv(door, 10) == b"hello"


async def test_the_ask_names_app_and_port(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / wire.DOOR_NAME))
        server.listen()
        asking = asyncio.create_task(open_door(tmp_path, "app", 5000, SECONDS))
        with (await asyncio.to_thread(server.accept))[0] as caller:
            frame = await asyncio.to_thread(caller.recv, 100)
            assert wire.decode_connect(frame[4:]) == wire.Connect(app="app", port=5000)
    with pytest.raises(RunnerGone):
        await asking


async def test_a_refusal_has_its_code_and_what_comes_with_it_is_closed(
    tmp_path: Path, play: Play, pair: tuple[socket.socket, socket.socket]
) -> None:
    frame = wire.encode_frame(Failure("refused", "nobody listens on port 1"))
    play(lambda caller: socket.send_fds(caller, [frame], [pair[0].fileno()]))
    before = count_descriptors()
    with pytest.raises(RunnerError, match="nobody listens") as caught:
        await open_door(tmp_path, "app", 1, SECONDS)
    assert caught.value.code == "refused"
    await settle(before + 1)


def pass_many(caller: socket.socket) -> None:
    ends = [end for _ in range(10) for end in socket.socketpair()]
    socket.send_fds(caller, [OK], [end.fileno() for end in ends])
    for end in ends:
        end.close()


def pass_two(caller: socket.socket) -> None:
    left, right = socket.socketpair()
    with left, right:
        socket.send_fds(caller, [OK], [left.fileno(), right.fileno()])


def pass_one_with_each_byte(caller: socket.socket) -> None:
    left, right = socket.socketpair()
    with left, right:
        for byte in OK:
            socket.send_fds(caller, [bytes([byte])], [left.fileno()])


def pass_file(caller: socket.socket) -> None:
    with tempfile.TemporaryFile() as file:
        socket.send_fds(caller, [OK], [file.fileno()])


def pass_folder(caller: socket.socket) -> None:
    descriptor = os.open("/", os.O_PATH)
    socket.send_fds(caller, [OK], [descriptor])
    os.close(descriptor)


def pass_datagrams(caller: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
        socket.send_fds(caller, [OK], [stream.fileno()])


def pass_packets(caller: socket.socket) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        socket.send_fds(caller, [OK], [left.fileno()])


def pass_netlink(caller: socket.socket) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as stream:
        socket.send_fds(caller, [OK], [stream.fileno()])


@pytest.mark.parametrize(
    "answer",
    [
        pass_many,
        pass_two,
        pass_one_with_each_byte,
        pass_file,
        pass_folder,
        pass_datagrams,
        pass_packets,
        pass_netlink,
        lambda caller: caller.sendall(OK),
        lambda caller: caller.sendall(b"\xff\xff\xff\xff"),
        lambda caller: caller.sendall(b"\x00\x00\x00\x00"),
        lambda caller: caller.sendall(b"\x00\x00\x10\x01" + b"x" * 4097),
        lambda caller: caller.sendall(b"\x00\x00\x00\x05hello"),
        lambda caller: caller.sendall(b"\x00\x00\x10\x00" + b"\x91" * 4096),
        lambda caller: caller.shutdown(socket.SHUT_RDWR),
        lambda caller: caller.sendall(OK[:3]) or caller.shutdown(socket.SHUT_RDWR),
    ],
)
async def test_a_lying_runner_is_gone_and_leaves_nothing_behind(
    tmp_path: Path, play: Play, answer: Answer
) -> None:
    play(answer)
    before = count_descriptors()
    with pytest.raises(RunnerGone):
        await open_door(tmp_path, "app", 0, SECONDS)
    # The scripted runner keeps its end of the connection.
    await settle(before + 1)


async def settle(descriptors: int) -> None:
    async def is_settled() -> bool:
        return count_descriptors() <= descriptors

    await wait_until(is_settled, "the descriptors are closed")


@pytest.mark.parametrize("said", [b"", OK[:5]])
async def test_a_slow_runner_costs_the_time_given(tmp_path: Path, play: Play, said: bytes) -> None:
    play(lambda caller: caller.sendall(said))
    before = count_descriptors()
    with pytest.raises(RunnerGone, match=r"0\.1 s"):
        await open_door(tmp_path, "app", 0, 0.1)
    await settle(before + 1)


async def test_a_runner_that_takes_nobody_in_is_busy(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / wire.DOOR_NAME))
        server.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(tmp_path / wire.DOOR_NAME))
            with pytest.raises(RunnerError) as caught:
                await open_door(tmp_path, "app", 0, SECONDS)
    assert caught.value.code == "busy"


async def test_what_is_no_socket_or_a_link_to_one_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunnerGone, match="No such file"):
        await open_door(tmp_path, "app", 0, SECONDS)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "real.sock"))
        server.listen()
        (tmp_path / wire.DOOR_NAME).symlink_to("real.sock")
        with pytest.raises(RunnerGone, match="not a socket"):
            await open_door(tmp_path, "app", 0, SECONDS)
    (tmp_path / wire.DOOR_NAME).unlink()
    (tmp_path / wire.DOOR_NAME).write_text("")
    with pytest.raises(RunnerGone, match="not a socket"):
        await open_door(tmp_path, "app", 0, SECONDS)


def fill(door: Door) -> None:
    while True:
        door.send(b"x" * 65536)


def test_a_descriptor_made_blocking_by_its_other_holder_holds_nobody_up(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    theirs = pair[0]
    door = Door(fileno=os.dup(theirs.fileno()))
    door.setblocking(False)
    flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
    fcntl.fcntl(theirs, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
    with door:
        with pytest.raises(BlockingIOError):
            door.recv(10)
        with pytest.raises(BlockingIOError):
            door.recv_into(bytearray(10))
        with pytest.raises(BlockingIOError):
            fill(door)
        with pytest.raises(BlockingIOError):
            door.sendmsg([b"x" * 65536])


def test_closing_waits_for_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, _ = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    door = Door(fileno=theirs.detach())
    door.setblocking(False)
    with pytest.raises(BlockingIOError):
        fill(door)
    closing = threading.Thread(target=door.close, daemon=True)
    closing.start()
    closing.join(SECONDS)
    assert not closing.is_alive()
