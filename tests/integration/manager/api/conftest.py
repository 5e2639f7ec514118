"""A manager in this process on real stores, two tenants, and an agent that does as it is told."""

import asyncio
import itertools
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio
import sqlalchemy as sa

from backendai.common.etcd import EtcdStore
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.common.settings.load import check_settings
from backendai.halfstack.stores import StoreAddresses
from backendai.manager.accounts.fixture import check_fixture, load_fixture
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.app import Manager, run_manager
from backendai.manager.db.engine import open_database
from backendai.manager.db.schema import upgrade
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.scripted import IMAGES, ScriptedAgent
from tests.running.apart import apart

_names = itertools.count(1)

FIXTURE: dict[str, Any] = {
    "keypair_policies": [
        {"name": "default", "max_concurrent_sessions": 100, "max_containers_per_session": 4},
        {
            "name": "small",
            "max_concurrent_sessions": 2,
            "default_for_unspecified": "LIMITED",
            "total_resource_slots": {"cpu": "2", "mem": "4g"},
        },
        {
            "name": "few-waiting",
            "max_concurrent_sessions": 100,
            "max_containers_per_session": 4,
            "max_pending_session_count": 3,
        },
    ],
    "user_policies": [{"name": "default"}],
    "project_policies": [{"name": "default"}],
    "resource_presets": [
        {"name": "small", "resource_slots": {"cpu": "1", "mem": "1g"}, "shared_memory": "64m"}
    ],
    "domains": [{"name": "default"}, {"name": "other"}],
    "projects": [
        {"name": "default", "domain_name": "default", "resource_policy": "default"},
        {"name": "default", "domain_name": "other", "resource_policy": "default"},
    ],
    "users": [
        {
            "email": f"{name}@example.com",
            "username": name,
            "password": f"password of {name}",
            "domain_name": domain,
            "role": role,
            "resource_policy": "default",
            "main_access_key": f"AK{name.upper()}",
            "projects": ["default"],
        }
        for name, domain, role in (
            ("alice", "default", "user"),
            ("bob", "default", "user"),
            ("carol", "default", "admin"),
            ("root", "default", "superadmin"),
            ("mallory", "other", "admin"),
            ("tiny", "default", "user"),
            ("patience", "default", "user"),
            ("eve", "default", "monitor"),
        )
    ],
    "keypairs": [
        {
            "access_key": f"AK{name.upper()}",
            "secret_key": f"secret-of-{name}",
            "user": f"{name}@example.com",
            "resource_policy": {"tiny": "small", "patience": "few-waiting"}.get(name, "default"),
            "rate_limit": 100000,
            "is_admin": name in ("carol", "root", "mallory"),
        }
        for name in ("alice", "bob", "carol", "root", "mallory", "tiny", "patience", "eve")
    ],
    "resource_groups": [{"name": "default", "domains": ["default", "other"]}],
    "images": [
        {
            "name": "python:3.11",
            "architecture": "x86_64",
            "aliases": ["py"],
            "labels": {
                "ai.backend.resource.min.cpu": "1",
                "ai.backend.resource.min.mem": "64m",
                "ai.backend.resource.preferred.shmem": "32m",
            },
        },
        {"name": "cr.example.com/stable/shell:1.0", "architecture": "x86_64"},
    ],
}


@pytest.fixture(scope="module")
def module_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manager")
    write_secret_key(path / "secret.key")
    return path


@dataclass(frozen=True)
class Filled:
    """A database that is migrated and filled, and the key of the secrets in it."""

    dsn: str
    secret_key: Path


@pytest.fixture(scope="session")
def filled(
    runner: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
    make_database: Callable[[str | None], str],
    stores: StoreAddresses,
) -> Filled:
    """What each module copies, which takes a fraction of the time; nobody connects to this one."""
    folder, dsn = tmp_path_factory.mktemp("filled"), make_database(None)
    write_secret_key(folder / "secret.key")
    runner.run(prepare(make_settings(folder, dsn, stores.redis, stores.etcd)))
    return Filled(dsn, folder / "secret.key")


@pytest.fixture(scope="module")
def settings(
    module_dir: Path,
    filled: Filled,
    make_database: Callable[[str | None], str],
    redis_url: str,
    etcd_addr: str,
) -> ManagerSettings:
    """Settings of a manager on a database that is migrated and filled."""
    shutil.copy(filled.secret_key, module_dir / "secret.key")
    return make_settings(module_dir, make_database(filled.dsn), redis_url, etcd_addr)


def make_settings(folder: Path, dsn: str, redis_url: str, etcd_addr: str) -> ManagerSettings:
    database, hints = sa.make_url(dsn), sa.make_url(redis_url)
    data = {
        "etcd": {"namespace": f"test-{uuid.uuid4().hex[:8]}", "addr": etcd_addr},
        "db": {
            "addr": {"host": database.host, "port": database.port},
            "name": database.database,
            "user": database.username,
            "password": database.password or "",
            "pool-size": 8,
        },
        "redis": {
            "addr": {"host": hints.host, "port": hints.port},
            "password": hints.password or "",
            "db": int(hints.database or 0),
        },
        "manager": {
            "service-addr": {"host": "127.0.0.1", "port": 0},
            "secret-key-file": str(folder / "secret.key"),
            "config-cache": str(folder / "config.json"),
            "callback-networks": ["127.0.0.1"],
        },
    }
    return check_settings(ManagerSettings, data, "test")


async def prepare(settings: ManagerSettings) -> None:
    database = open_database(settings.db, "test")
    box = SecretBox(load_secret_key(settings.manager.secret_key_file))
    rows = check_fixture(json.loads(json.dumps(FIXTURE)))
    try:
        await upgrade(database)
        await database.transact(lambda connection: load_fixture(connection, rows, box))
    finally:
        await database.close()


@pytest.fixture
async def manager(settings: ManagerSettings, redis_url: str) -> AsyncIterator[Manager]:
    await empty(redis_url)
    async with started(settings) as running:
        yield running


async def empty(redis_url: str) -> None:
    """By a client of ours: the manager's own gives up on a store that is slow for a moment."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()


def started(settings: ManagerSettings) -> AbstractAsyncContextManager[Manager]:
    return apart(run_manager(settings))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


@pytest.fixture
def as_user(manager: Manager, http: aiohttp.ClientSession) -> Callable[[str], Caller]:
    """`as_user("alice")` asks with that user's keypair."""

    def make(name: str) -> Caller:
        return Caller(http, manager.address, f"AK{name.upper()}", f"secret-of-{name}")

    return make


@pytest.fixture
def alice(as_user: Callable[[str], Caller]) -> Caller:
    return as_user("alice")


@pytest.fixture
def bob(as_user: Callable[[str], Caller]) -> Caller:
    return as_user("bob")


@pytest.fixture
def nobody(alice: Caller) -> Caller:
    return alice.but(access_key=None)


@pytest.fixture
async def agent(manager: Manager) -> AsyncIterator[ScriptedAgent]:
    async with joined(manager) as scripted:
        yield scripted


@asynccontextmanager
async def joined(manager: Manager) -> AsyncIterator[ScriptedAgent]:
    """A node that the manager has found."""
    scripted = ScriptedAgent(f"i-{uuid.uuid4().hex[:8]}")
    etcd: EtcdStore = manager.stores.etcd
    status = sa.text("select status from agents where id = :id")

    async def is_alive() -> bool:
        async with manager.stores.database.begin() as connection:
            return await connection.scalar(status, {"id": scripted.agent_id}) == "ALIVE"

    await scripted.start(etcd)
    try:
        await until(is_alive)
        yield scripted
    finally:
        # What is left open would hang whichever later test collects it.
        await scripted.stop()
    await etcd.delete(f"nodes/agents/{scripted.agent_id}")
    async with manager.stores.database.begin() as connection:
        # The next test's node is the only one that is there.
        await connection.execute(
            sa.text("update agents set schedulable = false where id = :id"),
            {"id": scripted.agent_id},
        )


@pytest.fixture
def name() -> str:
    return f"session-{next(_names)}"


def body_of(name: str, **more: Any) -> dict[str, Any]:
    """A create request as the official client sends it."""
    config = more.pop("config", {})
    return {
        "name": name,
        "image": IMAGES[0],
        "enqueueOnly": False,
        "maxWaitSeconds": 20,
        "config": {"resources": {"cpu": "1", "mem": "256m"}, **config},
        **more,
    }


@pytest.fixture
def create() -> Callable[..., Awaitable[dict[str, Any]]]:
    async def run(caller: Caller, name: str, **more: Any) -> dict[str, Any]:
        answer = await caller.ask("POST", "/session", body_of(name, **more))
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json
        return made

    return run
