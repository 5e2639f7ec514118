"""An app proxy as a process, with a database, a node's relay and an app behind it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from backendai.manager.db.schema import upgrade
from tests.integration.manager.world import (
    ACCESS_KEY,
    USER,
    Wish,
    add_agent,
    enqueue,
    open_world,
    seed,
)
from tests.running.wsproxy import (
    AGENT,
    Loop,
    RelayStandIn,
    ScriptedApp,
    Target,
    WsproxyDaemon,
    running_wsproxy,
)


@dataclass(slots=True)
class Cluster:
    """What is behind an app proxy. `targets` are the kernels that run."""

    dsn: str
    loop: Loop
    relay: RelayStandIn
    app: ScriptedApp
    targets: list[Target] = field(default_factory=list)

    def sql(self, words: str, *values: Any) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return list(await connection.fetch(words, *values))
            finally:
                await connection.close()

        return list(self.loop.run(run()))

    def run_kernel(self, protocol: str = "http", app: str = "jupyterlab") -> Target:
        """A session of one kernel that runs, with the app of the cluster in it."""

        async def make() -> Target:
            database = open_world(self.dsn)
            new = await enqueue(database, Wish(name=f"s-{uuid.uuid4().hex[:8]}"))
            await database.close()
            return Target(
                session=new.id,
                kernel=new.kernels[0].id,
                owner=USER,
                access_key=ACCESS_KEY,
                port=self.app.port,
                protocol=protocol,
                app=app,
            )

        target: Target = self.loop.run(make())
        self.sql(
            "UPDATE kernels SET status = 'RUNNING', agent_id = $2, generation = 1 WHERE id = $1",
            target.kernel,
            AGENT,
        )
        self.relay.kernels[str(target.kernel)] = 1
        self.targets.append(target)
        return target

    def end_kernel(self, target: Target) -> None:
        self.sql("UPDATE kernels SET status = 'TERMINATING' WHERE id = $1", target.kernel)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    found = Loop()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def migrated_dsn(loop: Loop, make_database: Callable[[str | None], str]) -> str:
    """A database by the migrations, with one tenant."""
    dsn = make_database(None)

    async def fill() -> None:
        database = open_world(dsn)
        await upgrade(database)
        async with database.begin() as conn:
            await seed(conn)
        await database.close()

    loop.run(fill())
    return dsn


@pytest.fixture(scope="module")
def shared_cluster(
    loop: Loop, migrated_dsn: str, make_database: Callable[[str | None], str]
) -> Iterator[Cluster]:
    cluster = Cluster(make_database(migrated_dsn), loop, RelayStandIn(loop), ScriptedApp(loop))

    async def fill() -> None:
        database = open_world(cluster.dsn)
        await add_agent(database, AGENT, {"cpu": "8"}, relay_addr=cluster.relay.address)
        await database.close()

    loop.run(fill())
    cluster.relay.start()
    cluster.app.start()
    yield cluster
    cluster.relay.stop()
    cluster.app.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """As it was at first: the app echoes, the relay opens."""
    shared_cluster.app.script = None
    shared_cluster.app.heads.clear()
    shared_cluster.relay.refusals.clear()
    return shared_cluster


@pytest.fixture(scope="module")
def shared_daemon(
    shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WsproxyDaemon]:
    home = tmp_path_factory.mktemp("wsproxy")
    limits = "head-timeout = 1.0\nbody-timeout = 1.0\nanswer-timeout = 2.0\nidle-timeout = 5.0"
    limits += "\nbody-bytes-max = 4194304\nkeep-alive = 3.0"
    with running_wsproxy(home, shared_cluster.dsn, limits=limits) as found:
        yield found


@pytest.fixture
def daemon(shared_daemon: WsproxyDaemon, cluster: Cluster) -> WsproxyDaemon:
    """Shared by the tests of a module; it lives after each."""
    assert not shared_daemon.is_dead(), shared_daemon.log.read_text()
    return shared_daemon


@pytest.fixture(scope="module")
def shared_target(shared_cluster: Cluster) -> Target:
    return shared_cluster.run_kernel()


@pytest.fixture
def target(shared_target: Target) -> Target:
    return shared_target
