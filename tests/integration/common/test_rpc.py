"""RPC over real sockets: who may connect, what travels, what happens when one end goes away."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import zmq

from backendai.common.failpoints import FailpointReached, Mode, arm, disarm_all, hits
from backendai.common.faults import (
    AgentBusy,
    AgentConnectionLost,
    AgentInvalidInput,
    AgentTimeout,
    Fault,
    InternalError,
    ServerMisconfigured,
    SessionNotFound,
)
from backendai.common.logs import context_field, log_context
from backendai.common.rpc import wire
from backendai.common.rpc.call import AnyCall, Call
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair, generate_keypair
from backendai.common.rpc.server import RpcServer, caller


class Echo(msgspec.Struct, frozen=True):
    text: str
    size: int = 0


class Waiting(msgspec.Struct, frozen=True):
    seconds: float


ECHO = Call("echo", Echo, Echo, idempotent=True)
WAIT = Call("wait", Waiting, Echo, idempotent=True, deadline_seconds=30.0)
BREAK = Call("break", Echo, Echo)
CONTRACT: list[AnyCall] = [ECHO, WAIT, BREAK]
SERVER, CLIENT, STRANGER = generate_keypair(), generate_keypair(), generate_keypair()


async def echo(request: Echo) -> Echo:
    return request


async def wait(request: Waiting) -> Echo:
    await asyncio.sleep(request.seconds)
    return Echo("waited")


async def break_(request: Echo) -> Echo:
    if request.text == "fault":
        raise SessionNotFound("it is gone", {"id": 7})
    if request.text == "timeout":
        raise TimeoutError("a secret detail")
    raise RuntimeError("a secret detail")


def make_server(address: str = "tcp://127.0.0.1:0", **options: Any) -> RpcServer:
    server = RpcServer(address, SERVER, {CLIENT.public}, CONTRACT, **options)
    server.on(ECHO, echo)
    server.on(WAIT, wait)
    server.on(BREAK, break_)
    return server


def make_peer(server: RpcServer, pair: KeyPair = CLIENT, key: str = SERVER.public) -> RpcPeer:
    return RpcPeer(server.address, key, pair)


@pytest.fixture
async def server() -> AsyncIterator[RpcServer]:
    async with make_server() as running:
        yield running


@pytest.fixture
async def peer(server: RpcServer) -> AsyncIterator[RpcPeer]:
    async with make_peer(server) as connected:
        yield connected


async def test_a_client_without_encryption_is_refused(server: RpcServer) -> None:
    async with RpcPeer(server.address, None, None) as peer:
        with pytest.raises(AgentTimeout):
            await peer.ask(ECHO, Echo("x"), timeout_seconds=0.5)


async def test_a_key_that_is_not_listed_is_refused(server: RpcServer) -> None:
    async with make_peer(server, STRANGER) as peer:
        with pytest.raises(AgentTimeout):
            await peer.ask(ECHO, Echo("x"), timeout_seconds=0.5)


async def test_a_wrong_server_key_is_refused(server: RpcServer) -> None:
    async with make_peer(server, key=STRANGER.public) as peer:
        with pytest.raises(AgentTimeout):
            await peer.ask(ECHO, Echo("x"), timeout_seconds=0.5)


async def test_what_is_no_address_is_told() -> None:
    async with RpcPeer("tcp://-:1", SERVER.public, CLIENT) as peer:
        for _ in range(2):
            with pytest.raises(AgentConnectionLost, match="is no address"):
                await peer.ask(ECHO, Echo("x"), timeout_seconds=0.5)


async def test_a_reply_comes_back_typed(peer: RpcPeer) -> None:
    assert await peer.ask(ECHO, Echo("hello", 3)) == Echo("hello", 3)


async def test_many_calls_share_one_connection(peer: RpcPeer) -> None:
    slow = asyncio.create_task(peer.ask(WAIT, Waiting(0.3)))
    replies = await asyncio.gather(*(peer.ask(ECHO, Echo(str(n))) for n in range(300)))
    assert [reply.text for reply in replies] == [str(n) for n in range(300)]
    assert not slow.done()
    assert (await slow).text == "waited"


async def test_a_fault_is_raised_as_the_same_class(peer: RpcPeer) -> None:
    with pytest.raises(SessionNotFound) as caught:
        await peer.ask(BREAK, Echo("fault"))
    assert (caught.value.detail, caught.value.facts) == ("it is gone", {"id": 7})


@pytest.mark.parametrize("text", ["other", "timeout"])
async def test_an_unexpected_error_tells_nothing(peer: RpcPeer, text: str) -> None:
    with pytest.raises(InternalError) as caught:
        await peer.ask(BREAK, Echo(text))
    assert "secret" not in str(caught.value)


async def test_a_handler_is_stopped_at_the_callers_deadline(server: RpcServer) -> None:
    ended = asyncio.Event()

    async def wait_and_tell(request: Waiting) -> Echo:
        try:
            return await wait(request)
        finally:
            ended.set()

    server.on(WAIT, wait_and_tell)
    async with make_peer(server) as peer:
        with pytest.raises(AgentTimeout):
            await peer.ask(WAIT, Waiting(60.0), timeout_seconds=0.2)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_an_unknown_method_is_a_clear_fault(peer: RpcPeer) -> None:
    for name in ("nothing", "__class__", "close"):
        with pytest.raises(AgentInvalidInput, match="no method"):
            await peer.ask(Call(name, Echo, Echo), Echo("x"))


async def test_a_body_of_another_shape_is_a_clear_fault(peer: RpcPeer) -> None:
    with pytest.raises(AgentInvalidInput, match="echo: "):
        await peer.ask(Call("echo", Waiting, Echo), Waiting(1.0))


async def test_a_reply_of_another_shape_is_an_internal_fault(peer: RpcPeer) -> None:
    with pytest.raises(InternalError, match="unreadable"):
        await peer.ask(Call("echo", Echo, Waiting), Echo("x"))


async def test_extension_types_are_refused(server: RpcServer, peer: RpcPeer) -> None:
    body = msgspec.Raw(msgspec.msgpack.encode(msgspec.msgpack.Ext(1, b"cos\nsystem\n")))
    with pytest.raises(AgentInvalidInput):
        await peer.ask(Call("echo", msgspec.Raw, Echo), body)


async def test_the_handler_knows_who_asks_and_for_which_request(server: RpcServer) -> None:
    async def tell(request: Echo) -> Echo:
        return Echo(f"{caller()} {context_field('request_id')}")

    server.on(ECHO, tell)
    async with make_peer(server) as peer:
        with log_context(request_id="r-1"):
            assert (await peer.ask(ECHO, Echo("x"))).text == f"{CLIENT.public} r-1"


async def test_too_many_calls_of_one_peer_are_refused() -> None:
    async with make_server(pending_per_peer_max=2) as server, make_peer(server) as peer:
        waiting = [asyncio.create_task(peer.ask(WAIT, Waiting(0.5))) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(AgentBusy):
            await peer.ask(ECHO, Echo("x"))
        await asyncio.gather(*waiting)
        assert await peer.ask(ECHO, Echo("again")) == Echo("again")


async def test_a_peer_answers_again_after_the_server_came_back() -> None:
    server = make_server()
    await server.start()
    async with make_peer(server) as peer:
        assert await peer.ask(ECHO, Echo("first")) == Echo("first")
        await server.close()
        with pytest.raises(AgentTimeout):
            await peer.ask(ECHO, Echo("lost"), timeout_seconds=0.3)
        async with make_server(server.address):
            assert await peer.ask(ECHO, Echo("third"), timeout_seconds=10) == Echo("third")


async def test_a_request_whose_time_is_over_is_not_sent_later() -> None:
    seen: list[str] = []

    async def note(request: Echo) -> Echo:
        seen.append(request.text)
        return request

    server = make_server()
    await server.start()
    await server.close()
    async with make_peer(server) as peer:
        with pytest.raises(AgentTimeout):
            await peer.ask(ECHO, Echo("late"), timeout_seconds=0.2)
        again = make_server(server.address)
        again.on(ECHO, note)
        async with again:
            await peer.ask(ECHO, Echo("fresh"), timeout_seconds=10)
    assert seen == ["fresh"]


async def test_a_broken_connection_ends_the_calls_that_were_sent() -> None:
    """A killed server says nothing, and nobody waits for it until the deadline."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    silent = context.socket(zmq.ROUTER)
    silent.linger = 0
    port = silent.bind_to_random_port("tcp://127.0.0.1")
    async with RpcPeer(f"tcp://127.0.0.1:{port}", None, None) as peer:
        sent = asyncio.create_task(peer.ask(WAIT, Waiting(60), timeout_seconds=60))
        assert await asyncio.to_thread(silent.poll, 10_000)
        silent.close()
        async with asyncio.timeout(5):
            with pytest.raises(AgentTimeout, match="broke"):
                await sent
        server = RpcServer(f"tcp://127.0.0.1:{port}", None, set(), CONTRACT)
        server.on(ECHO, echo)
        server.on(WAIT, wait)
        server.on(BREAK, break_)
        unsent = asyncio.create_task(peer.ask(ECHO, Echo("kept"), timeout_seconds=30))
        await asyncio.sleep(0.2)
        async with server:
            assert await unsent == Echo("kept")
    context.term()


async def test_peers_closed_while_their_server_goes_leave_the_others_working() -> None:
    """A connection that breaks after nobody listens to its events once stopped the library's
    thread, and with it every connection of the process."""
    for _ in range(10):
        async with make_server() as server:
            peers = [make_peer(server) for _ in range(40)]
            echoes = (peer.ask(ECHO, Echo("x"), timeout_seconds=5) for peer in peers)
            assert set(await asyncio.gather(*echoes)) == {Echo("x")}
            going = asyncio.create_task(server.close())
            await asyncio.sleep(0)
            for peer in peers:
                await peer.close()
            await going


async def test_closing_a_peer_ends_its_calls(server: RpcServer) -> None:
    peer = make_peer(server)
    waiting = asyncio.create_task(peer.ask(WAIT, Waiting(60)))
    await asyncio.sleep(0.1)
    await peer.close()
    with pytest.raises(AgentTimeout, match="closed"):
        await waiting
    with pytest.raises(AgentTimeout, match="closed"):
        await peer.ask(ECHO, Echo("x"))


async def test_a_cancelled_call_leaves_nothing_behind(peer: RpcPeer) -> None:
    call = asyncio.create_task(peer.ask(WAIT, Waiting(60)))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not peer._waiting
    assert await peer.ask(ECHO, Echo("x")) == Echo("x")


async def test_a_stopping_server_says_so(server: RpcServer, peer: RpcPeer) -> None:
    waiting = asyncio.create_task(peer.ask(WAIT, Waiting(60)))
    await peer.ask(ECHO, Echo("x"))
    await server.close()
    with pytest.raises(Fault):
        async with asyncio.timeout(5):
            await peer.ask(ECHO, Echo("x"), timeout_seconds=0.3)
    waiting.cancel()


async def test_a_large_body_passes_and_a_larger_one_is_refused_at_home(peer: RpcPeer) -> None:
    large = Echo("x" * (8 * 1024 * 1024))
    assert await peer.ask(ECHO, large) == large
    with pytest.raises(AgentInvalidInput, match="too large"):
        await peer.ask(ECHO, Echo("x" * wire.FRAME_BYTES_MAX))


async def test_garbage_on_the_port_does_no_harm(server: RpcServer, peer: RpcPeer) -> None:
    host, port = server.address.removeprefix("tcp://").rsplit(":", 1)
    for garbage in (b"\x00" * 4096, b"GET / HTTP/1.1\r\n\r\n", b"\xff" + b"\x00" * 8 + b"\x7f"):
        with sockets.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(garbage)
    assert await peer.ask(ECHO, Echo("x")) == Echo("x")


async def test_bad_frames_of_a_known_client_do_no_harm(server: RpcServer, peer: RpcPeer) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    raw = context.socket(zmq.DEALER)
    raw.setsockopt(zmq.LINGER, 0)
    raw.curve_publickey, raw.curve_secretkey = CLIENT.public.encode(), CLIENT.secret.encode()
    raw.curve_serverkey = SERVER.public.encode()
    raw.connect(server.address)
    for parts in ([b""], [b"\xc1"], [b"a", b"b"], [b"\x92\x01\x02"], [b"\x91" * 5000]):
        raw.send_multipart(parts)
    assert await peer.ask(ECHO, Echo("x")) == Echo("x")
    context.destroy(linger=0)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("rpc.client.before_send", FailpointReached),
        ("rpc.client.after_reply", FailpointReached),
        ("rpc.server.before_reply", InternalError),
    ],
)
async def test_a_failure_at_any_step_costs_one_call(
    peer: RpcPeer, name: str, seen: type[Exception]
) -> None:
    arm(name, Mode.RAISE)
    with pytest.raises(seen):
        await peer.ask(ECHO, Echo("x"))
    assert hits(name) == 1
    disarm_all()
    assert await peer.ask(ECHO, Echo("y")) == Echo("y")


async def test_a_lost_reply_is_a_timeout_and_asking_again_is_answered(peer: RpcPeer) -> None:
    arm("rpc.server.before_reply", Mode.HANG)
    with pytest.raises(AgentTimeout, match="no reply"):
        await peer.ask(ECHO, Echo("x"), timeout_seconds=0.3)
    assert await peer.ask(ECHO, Echo("x")) == Echo("x")
    disarm_all()


async def test_a_call_without_a_handler_keeps_the_server_from_starting() -> None:
    server = RpcServer("tcp://127.0.0.1:0", SERVER, set(), CONTRACT)
    server.on(ECHO, echo)
    with pytest.raises(ServerMisconfigured, match="without a handler: break, wait"):
        await server.start()


async def test_a_taken_address_is_a_clear_fault(server: RpcServer) -> None:
    with pytest.raises(ServerMisconfigured, match="cannot listen"):
        await make_server(server.address).start()


def test_a_handler_for_a_call_outside_the_contract_is_refused() -> None:
    contract: list[AnyCall] = [ECHO]
    server = RpcServer("tcp://127.0.0.1:0", SERVER, set(), contract)
    with pytest.raises(ServerMisconfigured, match="no call 'wait'"):
        server.on(WAIT, wait)
