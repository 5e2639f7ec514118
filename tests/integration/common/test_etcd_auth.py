"""The configuration store on an etcd that asks for a password; each test has an etcd of its own."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from etcd3aio import Etcd3Client

from backendai.common.etcd import EtcdStore
from backendai.common.faults import Fault, ServerMisconfigured
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import EtcdSettings
from backendai.halfstack.stores import find_etcd

PATIENCE_SECONDS = 60
PASSWORD = "a-long-password"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[HostPort]:
    binary, _ = find_etcd()
    client, peer = free_port(), free_port()
    command = [
        str(binary),
        *("--name", "own", "--data-dir", str(tmp_path / "data"), "--log-level", "error"),
        *("--heartbeat-interval", "10", "--election-timeout", "100"),
        *("--listen-client-urls", f"http://127.0.0.1:{client}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-cluster", f"own=http://127.0.0.1:{peer}"),
    ]
    with subprocess.Popen(command) as process:
        yield HostPort("127.0.0.1", client)
        process.kill()


@pytest.fixture
async def guarded(address: HostPort) -> HostPort:
    async with Etcd3Client([str(address)]) as raw:
        assert raw.auth is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await raw.ping()
                    break
                except Exception:  # whatever a starting server answers
                    await asyncio.sleep(0.1)
        await raw.auth.user_add("root", PASSWORD)
        await raw.auth.role_add("root")
        await raw.auth.user_grant_role("root", "root")
        await raw.auth.auth_enable()
    return address


def store_of(address: HostPort, user: str | None, password: str = "") -> EtcdStore:
    return EtcdStore(EtcdSettings(namespace="guarded", addr=address, user=user, password=password))


async def test_no_credential_is_a_clear_fault(guarded: HostPort) -> None:
    async with store_of(guarded, None) as store:
        with pytest.raises(ServerMisconfigured, match="refuses us"):
            await store.put("k", "v")


async def test_a_wrong_password_is_a_clear_fault(guarded: HostPort) -> None:
    async with store_of(guarded, "root", "another-password") as store:
        with pytest.raises(ServerMisconfigured, match="refuses us"):
            await store.put("k", "v")


async def test_the_right_password_serves_reads_writes_and_watches(guarded: HostPort) -> None:
    async with store_of(guarded, "root", PASSWORD) as store, asyncio.timeout(PATIENCE_SECONDS):
        await store.put("k", "1")
        async with aclosing(store.watch("k")) as snapshots:
            assert dict(await anext(snapshots)) == {"k": "1"}
            assert await store.swap("k", "1", "2")
            assert dict(await anext(snapshots)) == {"k": "2"}
        lease = await store.grant(30)
        assert await store.refresh(lease)


async def test_a_token_that_the_server_forgot_is_renewed(guarded: HostPort) -> None:
    async with store_of(guarded, "root", PASSWORD) as store:
        await store.put("k", "1")
        for service in (store._member.kv, store._member.leases, store._member.watches):
            service.set_token("no-token-of-this-server.1")
        assert await store.get("k") == "1"
        async with aclosing(store.watch("k")) as snapshots, asyncio.timeout(PATIENCE_SECONDS):
            assert dict(await anext(snapshots)) == {"k": "1"}
            store._member.watches.set_token("no-token-of-this-server.2")
            await store.put("k", "2")
            assert dict(await anext(snapshots)) == {"k": "2"}


async def test_a_fault_of_credentials_is_never_silent_in_a_watch(guarded: HostPort) -> None:
    async with store_of(guarded, "root", "another-password") as store:
        with pytest.raises(Fault, match="refuses us"):
            await anext(store.watch("k"))
