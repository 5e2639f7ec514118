"""The configuration store, real and in memory, in the same tests; then what only etcd suffers."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import grpc.aio
import psutil
import pytest
from etcd3aio.kv import KVService

from backendai.common.clock import SystemClock
from backendai.common.config import (
    CachedConfig,
    ConfigStore,
    MemoryStore,
    Snapshot,
)
from backendai.common.etcd import EtcdStore
from backendai.common.failpoints import FailpointReached, Mode, arm, disarm
from backendai.common.faults import Conflict, StoreUnavailable
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import EtcdSettings
from backendai.halfstack.stores import StoreAddresses

PATIENCE_SECONDS = 60
_numbers = itertools.count(1)


def etcd_settings(address: str) -> EtcdSettings:
    host, _, port = address.rpartition(":")
    return EtcdSettings(
        namespace=f"test-{os.getpid()}-{next(_numbers)}", addr=HostPort(host, int(port))
    )


@pytest.fixture
async def etcd(etcd_addr: str) -> AsyncIterator[EtcdStore]:
    async with EtcdStore(etcd_settings(etcd_addr)) as store:
        yield store


@pytest.fixture(params=["memory", "etcd"])
def store(request: pytest.FixtureRequest) -> ConfigStore:
    if request.param == "memory":
        return MemoryStore(SystemClock())
    found: EtcdStore = request.getfixturevalue("etcd")
    return found


async def next_snapshot(snapshots: AsyncGenerator[Snapshot, None]) -> dict[str, str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return dict(await anext(snapshots))


async def until_snapshot(snapshots: AsyncGenerator[Snapshot, None], wanted: dict[str, str]) -> None:
    """Snapshots may be merged or repeat an older level; the wanted one comes in time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for snapshot in snapshots:
            if dict(snapshot) == wanted:
                return


async def test_what_is_put_is_got_until_deleted(store: ConfigStore) -> None:
    assert await store.get("a/b") is None
    await store.put("a/b", "grüße")
    assert await store.get("a/b") == "grüße"
    assert await store.delete("a/b")
    assert not await store.delete("a/b")
    assert await store.get("a/b") is None


async def test_a_prefix_holds_only_its_own_keys(store: ConfigStore) -> None:
    for key in ("p/2", "p/1", "pq", "q/1"):
        await store.put(key, key)
    assert list((await store.get_prefix("p/")).items()) == [("p/1", "p/1"), ("p/2", "p/2")]
    assert await store.delete_prefix("p/") == 2
    assert dict(await store.get_prefix("")) == {"pq": "pq", "q/1": "q/1"}


async def test_the_empty_prefix_is_not_deleted(store: ConfigStore) -> None:
    await store.put("kept", "1")
    with pytest.raises(ValueError, match="everything"):
        await store.delete_prefix("")
    assert await store.get("kept") == "1"


async def test_swap_puts_only_where_the_expected_is(store: ConfigStore) -> None:
    assert await store.swap("k", None, "1")
    assert not await store.swap("k", None, "2")
    assert not await store.swap("k", "9", "2")
    assert await store.swap("k", "1", "2")
    assert await store.get("k") == "2"


async def test_one_of_many_swaps_wins(store: ConfigStore) -> None:
    won = await asyncio.gather(*(store.swap("only", None, str(n)) for n in range(20)))
    assert won.count(True) == 1
    assert await store.get("only") == str(won.index(True))


async def test_a_watch_shows_now_and_every_change(store: ConfigStore) -> None:
    await store.put("w/a", "1")
    async with aclosing(store.watch("w/")) as snapshots:
        assert await next_snapshot(snapshots) == {"w/a": "1"}
        await store.put("w/b", "2")
        assert await next_snapshot(snapshots) == {"w/a": "1", "w/b": "2"}
        await store.put("elsewhere", "x")
        await store.delete("w/a")
        assert await next_snapshot(snapshots) == {"w/b": "2"}


async def test_a_revoked_lease_takes_its_keys_along(store: ConfigStore) -> None:
    lease = await store.grant(60)
    await store.put("leased", "1", lease)
    await store.put("free", "1")
    assert await store.refresh(lease)
    await store.revoke(lease)
    assert not await store.refresh(lease)
    assert (await store.get("leased"), await store.get("free")) == (None, "1")
    with pytest.raises(Conflict):
        await store.put("leased", "2", lease)
    await store.revoke(lease)


async def test_last_known_values_serve_while_the_store_is_away(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    config = CachedConfig(store, "config/", tmp_path / "cache.json")
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await config.load()
    store.is_away = False
    await store.put("config/x", "1")
    assert dict(await config.load()) == {"config/x": "1"}
    store.is_away = True
    assert dict(await CachedConfig(store, "config/", tmp_path / "cache.json").load()) == {
        "config/x": "1"
    }
    assert (tmp_path / "cache.json").stat().st_mode & 0o777 == 0o600


async def test_a_followed_config_refreshes_the_cache(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    config = CachedConfig(store, "c/", tmp_path / "deep" / "cache.json")
    async with aclosing(config.follow()) as snapshots:
        assert await next_snapshot(snapshots) == {}
        await store.put("c/x", "2")
        assert await next_snapshot(snapshots) == {"c/x": "2"}
    store.is_away = True
    assert dict(await config.load()) == {"c/x": "2"}


@pytest.mark.parametrize("garbage", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff"])
async def test_a_broken_cache_counts_as_none(tmp_path: Path, garbage: bytes) -> None:
    store = MemoryStore(SystemClock())
    store.is_away = True
    path = tmp_path / "cache.json"
    path.write_bytes(garbage)
    with pytest.raises(StoreUnavailable):
        await CachedConfig(store, "c/", path).load()


async def test_namespaces_do_not_see_each_other(etcd: EtcdStore, etcd_addr: str) -> None:
    await etcd.put("mine", "1")
    async with EtcdStore(etcd_settings(etcd_addr)) as other:
        assert await other.get("mine") is None
        assert dict(await other.get_prefix("")) == {}


async def test_an_unreachable_etcd_is_a_fault_in_bounded_time() -> None:
    async with EtcdStore(etcd_settings("127.0.0.1:1")) as store, asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
            await store.get("x")


@pytest.mark.parametrize("name", ["etcd.before_call", "etcd.after_call"])
async def test_a_failure_around_a_call_costs_that_call(etcd: EtcdStore, name: str) -> None:
    arm(name, Mode.RAISE)
    with pytest.raises(FailpointReached):
        await etcd.put("k", "1")
    disarm(name)
    assert await etcd.get("k") == (None if name == "etcd.before_call" else "1")


async def test_a_watch_outlives_compaction(etcd: EtcdStore, etcd_addr: str) -> None:
    """A watch whose next revision was compacted away is cancelled by etcd; ours lists again."""
    channel = grpc.aio.insecure_channel(etcd_addr)
    raw = KVService(channel)
    await etcd.put("c/a", "0")
    _, old_revision = await etcd._list("c/")
    for number in range(20):
        await etcd.put("c/a", str(number))
    response = await raw.get("anything")
    await raw.compact(response.header.revision)
    async with asyncio.timeout(PATIENCE_SECONDS):
        changes = [change async for change in etcd._changes("c/", {}, old_revision - 1)]
    assert changes == []
    async with aclosing(etcd.watch("c/")) as snapshots:
        assert await next_snapshot(snapshots) == {"c/a": "19"}
        await etcd.put("c/a", "20")
        assert await next_snapshot(snapshots) == {"c/a": "20"}
    await channel.close()


async def test_a_watch_outlives_kill_and_restart(stores: StoreAddresses) -> None:
    """The test's etcd is killed; its keeper starts it again, and the watch misses nothing."""
    process = find_listener(int(stores.etcd.rpartition(":")[2]))
    async with EtcdStore(etcd_settings(stores.etcd)) as store:
        await store.put("k/a", "1")
        async with aclosing(store.watch("k/")) as snapshots:
            assert await next_snapshot(snapshots) == {"k/a": "1"}
            process.send_signal(signal.SIGKILL)
            await put_when_back(store, "k/b", "2")
            await until_snapshot(snapshots, {"k/a": "1", "k/b": "2"})
            await store.put("k/c", "3")
            await until_snapshot(snapshots, {"k/a": "1", "k/b": "2", "k/c": "3"})


def find_listener(port: int) -> psutil.Process:
    for connection in psutil.net_connections("tcp"):
        is_listening = connection.status == psutil.CONN_LISTEN
        if is_listening and connection.laddr and connection.laddr.port == port:
            return psutil.Process(connection.pid)
    raise AssertionError(f"nothing listens at port {port}")


async def put_when_back(store: ConfigStore, key: str, value: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await store.put(key, value)
            except StoreUnavailable:
                await asyncio.sleep(0.1)
