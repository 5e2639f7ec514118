"""What is behind an app proxy in tests: a database, a node's relay, and an app."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import asyncpg

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
from tests.running.wsproxy import AGENT, Loop, RelayStandIn, ScriptedApp, Target


def migrate(loop: Loop, dsn: str) -> None:
    """An empty database by the migrations, with one tenant."""

    async def fill() -> None:
        database = open_world(dsn)
        await upgrade(database)
        async with database.begin() as conn:
            await seed(conn)
        await database.close()

    loop.run(fill())


def add_node(loop: Loop, dsn: str, relay_address: str) -> None:
    async def fill() -> None:
        database = open_world(dsn)
        await add_agent(database, AGENT, {"cpu": "8"}, relay_addr=relay_address)
        await database.close()

    loop.run(fill())


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
