"""Backup, loss of everything, restore: the same answers, and what runs is taken over."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from backendai.common.contracts.agent import Desired, EnsureKernel
from backendai.common.etcd import EtcdStore
from backendai.manager.app import Manager
from backendai.manager.backup.archive import verify_archive
from backendai.manager.backup.service import Consent, back_up, restore
from backendai.manager.db.engine import Database, open_database
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import started
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]

# Eight people ask 26 things each.
USERS = ("alice", "bob", "carol", "root", "mallory", "tiny", "patience", "eve")
PATHS = (
    "/acl",
    "/auth/role?group=",
    "/auth/ssh-keypair",
    "/config/docker-registries",
    "/config/resource-slots",
    "/config/vfolder-types",
    "/domain-config/dotfiles?domain=default",
    "/group-config/dotfiles?group=default&domain=default",
    "/logs/error",
    "/manager/announcement",
    "/resource/container-registries",
    "/resource/presets",
    "/scaling-groups?group=default",
    "/auth?echo=x",
    "/session/stays",
    "/session/stays/dependency-graph",
    "/session/stays/status-history",
    "/template/cluster",
    "/template/session",
    "/user-config/bootstrap-script",
    "/user-config/dotfiles",
)
GRAPH = (
    "{ user { email username domain_name role groups { name } } }",
    "{ keypair { access_key is_admin created_at } }",
    """{ compute_session_list(limit: 9, offset: 0, filter: "name == \\"stays\\"") { total_count
      items { id name status created_at containers { agent status container_id } } } }""",
    "{ images { name tag architecture labels { key value } aliases } }",
    "{ domain { name is_active total_resource_slots } groups { name domain_name is_active } }",
)
TIMED = ("age",)
# More than is left on the node.
LARGE = {"cpu": "6", "mem": "256m"}


@pytest.fixture(scope="module")
def other_dsn(make_database: Callable[[str | None], str]) -> str:
    return make_database(None)


@pytest.fixture
def elsewhere(settings: ManagerSettings, other_dsn: str, tmp_path: Path) -> ManagerSettings:
    """The same manager on a machine that lost everything: empty stores, no keys."""
    return replace(
        settings,
        etcd=replace(settings.etcd, namespace=f"test-{uuid.uuid4().hex[:8]}"),
        db=replace(settings.db, name=str(sa.make_url(other_dsn).database)),
        manager=replace(
            settings.manager,
            secret_key_file=tmp_path / "secret.key",
            config_cache=tmp_path / "config.json",
        ),
    )


@asynccontextmanager
async def stores(settings: ManagerSettings) -> AsyncIterator[tuple[Database, EtcdStore]]:
    database = open_database(settings.db, "test")
    try:
        async with EtcdStore(settings.etcd) as etcd:
            yield database, etcd
    finally:
        await database.close()


def caller_of(manager: Manager, http: aiohttp.ClientSession, name: str) -> Caller:
    return Caller(http, manager.address, f"AK{name.upper()}", f"secret-of-{name}")


async def all_answers(manager: Manager, http: aiohttp.ClientSession) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for user in USERS:
        caller = caller_of(manager, http, user)
        for path in PATHS:
            answer = await caller.ask("GET", path)
            told = answer.json
            if isinstance(told, dict):
                told = {key: value for key, value in told.items() if key not in TIMED}
            found[user, path] = (answer.status, told)
        for query in GRAPH:
            found[user, query] = await caller.graph(query)
    return found


async def is_running(caller: Caller, name: str) -> bool:
    answer = await caller.ask("GET", f"/session/{name}")
    return bool(answer.json.get("status") == "RUNNING")


@pytest.fixture
async def agent() -> AsyncIterator[ScriptedAgent]:
    """A node that goes on whatever becomes of managers."""
    scripted = ScriptedAgent("i-kept")
    yield scripted
    # What is left open would hang whichever later test collects it.
    await scripted.stop()


async def test_everything_answers_as_before_and_what_runs_is_taken_over(
    settings: ManagerSettings,
    elsewhere: ManagerSettings,
    agent: ScriptedAgent,
    http: aiohttp.ClientSession,
    create: Create,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "cluster.tar.gz"
    async with stores(settings) as (database, etcd):
        await agent.start(etcd)
        await etcd.put("config/announcement", "Back at noon")
        async with started(settings) as manager:
            alice = caller_of(manager, http, "alice")
            await create(alice, "stays")
            await create(alice, "again")
            agent.holds = True
            await create(alice, "starting", enqueueOnly=True)
            await until(lambda: _has_kernels(agent, 3))
            await create(alice, "waits", enqueueOnly=True, config={"resources": LARGE})
            before = await all_answers(manager, http)
            assert len(before) >= 200
            await back_up(database, etcd, settings, path, with_secrets=True)
            agent.holds, agent.capacity = False, {**agent.capacity, "cpu": "16"}
            assert (await alice.ask("PATCH", "/session/again")).status == 204
            await until(lambda: is_running(alice, "waits"))
    # While no manager is there, the second one gets to run.
    agent.release()
    agent.asked.clear()
    containers = {one.container_id for one in agent.kernels.values()}

    async with stores(elsewhere) as (database, etcd):
        restored = await restore(database, etcd, elsewhere.manager, verify_archive(path), Consent())
        assert restored.told == [f"wrote {elsewhere.manager.secret_key_file}"]
        async with started(elsewhere) as manager:
            alice = caller_of(manager, http, "alice")
            await until(lambda: is_running(alice, "starting"))
            await until(lambda: has_caught_up(database, "again", 2))
            await until(lambda: has_caught_up(database, "waits", 1))
            assert [one.message for one in caplog.records].count("agent.ahead") == 2
            after = await all_answers(manager, http)
            differing = {key: (was, after[key]) for key, was in before.items() if was != after[key]}
            assert differing == {}
            # To ask again for what is starting is right; it is there.
            assert ends_of(agent) == []
            assert {order.spec.session_name for order in agent.asked_of("ensure")} <= {"starting"}
            assert containers == {one.container_id for one in agent.kernels.values()}
            assert await use_and_end(alice, agent, "stays") == 1
            assert await use_and_end(alice, agent, "again") == 2
            assert await use_and_end(alice, agent, "waits") == 1
        async with database.begin() as conn:
            assert (await conn.execute(sa.text("SELECT 1 FROM slot_drift"))).all() == []


async def use_and_end(caller: Caller, agent: ScriptedAgent, name: str) -> int:
    """Run code in a session, and end it. Returns the generation that both were asked of."""
    body = {"mode": "query", "code": "1", "runId": f"after-{name}"}
    answer = await caller.ask("POST", f"/session/{name}", body)
    assert answer.status == 200, answer.body
    generation = int(agent.asked_of("execute")[-1].kernel.generation)
    assert (await caller.ask("DELETE", f"/session/{name}")).status == 200
    assert ends_of(agent)[-1].generation == generation
    return generation


async def has_caught_up(database: Database, name: str, generation: int) -> bool:
    """Whether the row of a session's kernel is what its node has."""
    asked = sa.text(
        "SELECT kernels.status, generation FROM kernels JOIN sessions ON sessions.id = session_id"
        " WHERE name = :name"
    )
    async with database.begin() as conn:
        return (await conn.execute(asked, {"name": name})).all() == [("RUNNING", generation)]


def ends_of(agent: ScriptedAgent) -> list[EnsureKernel]:
    return [order for order in agent.asked_of("ensure") if order.desired is Desired.GONE]


async def _has_kernels(agent: ScriptedAgent, count: int) -> bool:
    return len(agent.kernels) == count
