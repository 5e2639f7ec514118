"""The two ends of the socket: broken connections, agents that restart, runners that lie."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from backendai.kernel import wire
from backendai.kernel.peer import RunnerError, RunnerGone, RunnerPeer
from backendai.kernel.wire import Execute, Hello, Interrupt, Shutdown, Status

from .conftest import Kernel, text_of, wait_until


async def test_an_agent_that_restarts_mid_run_loses_nothing(kernel: Kernel) -> None:
    code = "import time\nfor i in range(40):\n    print(i, flush=True); time.sleep(0.01)"
    replies = [await kernel.begin(code, flush_seconds=0.05)]
    await kernel.peer.close()
    other = RunnerPeer(kernel.run_dir / wire.SOCKET_NAME)
    run_id = replies[0].run_id
    while replies[-1].status != "finished":
        ask = Execute(run_id=run_id, mode="continue", flush_seconds=0.1)
        replies.append(await other.ask(ask, 10))
    assert text_of(replies).split() == [str(i) for i in range(40)]
    await other.close()


async def test_a_cancelled_ask_takes_no_output_with_it(kernel: Kernel) -> None:
    reply = await kernel.begin("import time\ntime.sleep(0.2)\nprint('late')", flush_seconds=0)
    waiting = asyncio.create_task(kernel.go_on(reply.run_id))
    await asyncio.sleep(0)
    waiting.cancel()
    await kernel.peer.close()
    assert text_of([await kernel.go_on(reply.run_id)]) == "late\n"


async def test_a_lost_reply_is_given_again(kernel: Kernel) -> None:
    first = await kernel.begin("print('a')\ninput()\nprint('b')")
    again = await kernel.go_on(first.run_id, after=first.sequence - 1)
    assert again == first
    last = await kernel.begin("", mode="input", run_id=first.run_id)
    assert last.status == "finished"
    assert await kernel.go_on(first.run_id) == last
    assert await kernel.begin("print('a')", run_id=first.run_id) == last


async def test_an_unknown_run_is_refused_by_name(kernel: Kernel) -> None:
    with pytest.raises(RunnerError) as caught:
        await kernel.go_on("nobody")
    assert caught.value.code == "unknown-run"
    assert "nobody" in caught.value.message


async def test_many_requests_are_in_flight_at_once(kernel: Kernel) -> None:
    run = await kernel.begin("import time\ntime.sleep(0.5)", flush_seconds=0)
    slow = asyncio.create_task(kernel.go_on(run.run_id))
    statuses = await asyncio.gather(*(kernel.ask(Status()) for _ in range(30)))
    assert all(status.active_run == run.run_id for status in statuses)
    assert not slow.done()
    assert (await slow).status == "finished"


async def test_the_peer_connects_again_after_the_connection_broke(kernel: Kernel) -> None:
    await kernel.ask(Hello())
    await kernel.peer.close()
    assert (await kernel.ask(Hello())).version == wire.PROTOCOL_VERSION


async def test_without_a_runner_the_peer_says_gone(tmp_path: Path, kernel: Kernel) -> None:
    nobody = RunnerPeer(tmp_path / "none.sock")
    with pytest.raises(RunnerGone):
        await nobody.ask(Hello(), 1)
    await kernel.ask(Shutdown())
    assert await kernel.wait_for_exit() == 0
    with pytest.raises(RunnerGone):
        await kernel.ask(Hello())
    assert kernel.read_exit().reason == "shutdown"


async def test_a_runner_hangs_up_when_what_ran_has_had_its_grace(kernel: Kernel) -> None:
    mark = kernel.run_dir / "mark"
    code = (
        "import os, pathlib, signal, time\n"
        "def end(*_):\n"
        f"    time.sleep(0.3); pathlib.Path({str(mark)!r}).write_text('tidy'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    assert text_of([await kernel.begin(code, flush_seconds=1.0)]) == "ready\n"
    await kernel.ask(Shutdown())
    await asyncio.wait_for(kernel.peer.wait_closed(), 5)
    assert mark.read_text() == "tidy"
    assert kernel.read_exit().reason == "shutdown"


async def test_a_link_in_place_of_the_socket_is_not_followed(
    tmp_path: Path, kernel: Kernel
) -> None:
    link = tmp_path / "link.sock"
    link.symlink_to(kernel.run_dir / wire.SOCKET_NAME)
    with pytest.raises(RunnerGone):
        await RunnerPeer(link).ask(Hello(), 1)
    (tmp_path / "file.sock").write_text("")
    with pytest.raises(RunnerGone, match="not a socket"):
        await RunnerPeer(tmp_path / "file.sock").ask(Hello(), 1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x10\x00" + b"\x91" * 4096,
    ],
)
async def test_garbage_closes_that_connection_and_no_other(kernel: Kernel, garbage: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(kernel.run_dir / wire.SOCKET_NAME)
    writer.write(garbage)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    assert text_of(await kernel.run("1 + 1")) == "2\n"


async def test_a_request_that_makes_no_sense_is_answered(kernel: Kernel) -> None:
    reader, writer = await asyncio.open_unix_connection(kernel.run_dir / wire.SOCKET_NAME)
    payload = msgspec.msgpack.encode({"id": 7, "body": {"type": "dance"}})
    writer.write(len(payload).to_bytes(4, "big") + payload)
    length = wire.decode_length(await reader.readexactly(4))
    reply = wire.decode_reply(await reader.readexactly(length))
    assert reply.id == 7
    assert isinstance(reply.body, wire.Failure)
    assert reply.body.code == "bad-request"
    writer.close()


Liar = Callable[[bytes], Awaitable[RunnerPeer]]


@pytest.fixture
async def start_liar(tmp_path: Path) -> AsyncIterator[Liar]:
    """A runner that answers whatever it is asked with the given bytes."""
    servers: list[asyncio.Server] = []
    peers: list[RunnerPeer] = []

    async def start(answer: bytes) -> RunnerPeer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(answer)
            await reader.read()
            writer.close()

        path = tmp_path / f"{len(servers)}.sock"
        servers.append(await asyncio.start_unix_server(serve, path))
        peers.append(RunnerPeer(path))
        return peers[-1]

    yield start
    for peer in peers:
        await peer.close()
    for server in servers:
        server.close()


def make_frame(value: object) -> bytes:
    payload = msgspec.msgpack.encode(value)
    return len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff" * 64,
        b"\x00\x00\x00\x00",
        make_frame("hello"),
        make_frame({"id": 999, "body": {"type": "shutdown-reply"}}),
        make_frame({"id": 1, "body": {"type": "shutdown-reply"}}),
        make_frame({"id": 1, "body": {"type": "hello-reply", "version": "x"}}),
        b"\x00\x00\x10\x00" + b"\x91" * 4096,
    ],
)
async def test_a_lying_runner_raises_gone_and_is_hung_up_on(
    start_liar: Liar, answer: bytes
) -> None:
    peer = await start_liar(answer)
    with pytest.raises(RunnerGone):
        await peer.ask(Hello(), 5)


async def test_a_runner_that_never_answers_costs_the_timeout(start_liar: Liar) -> None:
    peer = await start_liar(b"")
    with pytest.raises(TimeoutError):
        await peer.ask(Hello(), 0.1)


async def test_too_large_a_request_is_refused_here(kernel: Kernel) -> None:
    with pytest.raises(wire.FrameError):
        await kernel.begin("x" * (wire.FRAME_BYTES_MAX + 1))
    assert (await kernel.ask(Hello())).query_ready


async def test_an_agent_that_floods_is_answered_in_its_turn(kernel: Kernel) -> None:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(kernel.run_dir / wire.SOCKET_NAME))
    frames = b"".join(wire.encode_frame(wire.Request(n, Interrupt())) for n in range(200))
    client.sendall(frames)
    assert (await kernel.ask(Hello())).query_ready
    client.close()
    await wait_until(lambda: is_idle(kernel), "the flood is over")


async def is_idle(kernel: Kernel) -> bool:
    status: wire.StatusReply = await kernel.ask(Status())
    return status.active_run is None
