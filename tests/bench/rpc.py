"""G6a: a call with CURVE beside raw pyzmq ROUTER and DEALER with msgpack, CURVE on for both.

Servers are processes of their own. Figures: the median time of a call with one peer, and the CPU of
both ends per call with fifty.
"""

import asyncio
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec
import psutil
import zmq
import zmq.asyncio

from backendai.common.rpc.call import Call
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair, generate_keypair
from backendai.common.rpc.server import RpcServer
from tests.bench.harness import Rounds, Row

NEEDS_STACK: Final = False
GOAL: Final = 1.3
ROUNDS: Final = 5
CALLS_PER_ROUND: Final = 2_000
PEERS: Final = 50


class Spec(msgspec.Struct, frozen=True):
    """About 240 bytes, as an order to start kernels."""

    kernel_ids: list[str]
    image: str
    slots: dict[str, str]
    environ: dict[str, str]


ECHO = Call("echo", Spec, Spec)
SPEC = Spec(
    ["6a3f1f4e-7d5c-4be7-9d7a-0e5b1c2d3e4f", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"],
    "registry.example.com/stable/python:3.11-ubuntu22.04",
    {"cpu": "2", "mem": "4294967296"},
    {"LANG": "C.UTF-8", "BACKENDAI_SESSION_NAME": "work"},
)
Ask = Callable[[], Awaitable[Any]]


def serve_ours(link: Connection, pair: KeyPair, client: str) -> None:
    async def main() -> None:
        async def echo(request: Spec) -> Spec:
            return request

        server = RpcServer("tcp://127.0.0.1:0", pair, {client}, [ECHO])
        server.on(ECHO, echo)
        async with server:
            link.send(server.address)
            await asyncio.Event().wait()

    asyncio.run(main())


def serve_raw(link: Connection, pair: KeyPair, _client: str) -> None:
    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.ROUTER)
        socket.curve_server, socket.curve_secretkey = True, pair.secret.encode()
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        link.send(f"tcp://127.0.0.1:{port}")
        while True:
            route, body = await socket.recv_multipart()
            reply = msgspec.msgpack.encode(msgspec.msgpack.decode(body))
            await socket.send_multipart([route, reply])

    asyncio.run(main())


def ask_ours(address: str, server: str, pair: KeyPair) -> Ask:
    peer = RpcPeer(address, server, pair)
    return lambda: peer.ask(ECHO, SPEC)


def ask_raw(address: str, server: str, pair: KeyPair) -> Ask:
    socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
    socket.curve_serverkey = server.encode()
    socket.connect(address)
    plain = msgspec.to_builtins(SPEC)

    async def ask() -> Any:
        await socket.send(msgspec.msgpack.encode(plain))
        return msgspec.msgpack.decode(await socket.recv())

    return ask


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    pair = generate_keypair()
    ours, raw = await _start(serve_ours, ask_ours, pair), await _start(serve_raw, ask_raw, pair)
    try:
        one = await _interleave(ours, raw, 1)
        many = await _interleave(ours, raw, PEERS)
    finally:
        for end in (ours, raw):
            end.process.terminate()
    return [
        _row("median time of a call, 1 peer", one, 0, GOAL),
        _row("CPU of both ends per call, 1 peer", one, 1, None),
        _row(f"CPU of both ends per call, {PEERS} peers", many, 1, GOAL),
    ]


@dataclass(frozen=True, slots=True)
class End:
    process: psutil.Process
    asks: list[Ask]


Taken = list[tuple[tuple[float, float], tuple[float, float]]]


async def _start(serve: Callable[..., None], make_ask: Callable[..., Ask], pair: KeyPair) -> End:
    server_pair = generate_keypair()
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(far, server_pair, pair.public), daemon=True
    )
    process.start()
    address = await asyncio.to_thread(near.recv)
    asks = [make_ask(address, server_pair.public, pair) for _ in range(PEERS)]
    await asyncio.gather(*(ask() for ask in asks))
    return End(psutil.Process(process.pid), asks)


async def _interleave(ours: End, raw: End, peers: int) -> Taken:
    taken = []
    for number in range(ROUNDS):
        if number % 2:
            first = await _run_round(ours, peers)
            taken.append((first, await _run_round(raw, peers)))
        else:
            first = await _run_round(raw, peers)
            taken.append((await _run_round(ours, peers), first))
    return taken


async def _run_round(end: End, peers: int) -> tuple[float, float]:
    """(median seconds of a call, CPU seconds of both ends per call)."""
    times: list[float] = []
    left = itertools.repeat(None, CALLS_PER_ROUND)

    async def work(ask: Ask) -> None:
        for _ in left:
            started = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - started)

    before = _cpu_seconds(end)
    async with asyncio.TaskGroup() as group:
        for ask in end.asks[:peers]:
            group.create_task(work(ask))
    return statistics.median(times), (_cpu_seconds(end) - before) / CALLS_PER_ROUND


def _cpu_seconds(end: End) -> float:
    return time.process_time() + sum(end.process.cpu_times()[:2])


def _row(what: str, taken: Taken, column: int, limit: float | None) -> Row:
    rounds = Rounds(
        tuple(ours[column] for ours, _ in taken), tuple(raw[column] for _, raw in taken)
    )
    return rounds.row("G6a", what, limit)
