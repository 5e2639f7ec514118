"""A database with one of everything, and shortcuts to put sessions into it."""

import asyncio
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.common.enums import ClusterRole, SessionType
from backendai.common.ids import KernelId, SessionId
from backendai.manager.db import ddl
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.enqueue import insert_session
from backendai.manager.lifecycle.model import NewKernel, NewSession

USER = uuid.UUID(int=1)
PROJECT = uuid.UUID(int=2)
ACCESS_KEY = "AKIATEST"
_counter = iter(range(10**9))


async def make_world(dsn: str) -> None:
    """The tables, triggers and views in an empty database, and one tenant."""
    database = open_world(dsn)
    async with database.begin() as conn:
        await conn.run_sync(t.metadata.create_all)
        for statement in (*ddl.CREATE, *ddl.KEEP_USAGE):
            await conn.execute(sa.text(statement))
        await seed(conn)
    await database.close()


def open_world(dsn: str, *, pool_size: int = 10) -> Database:
    """The database at `dsn`, which is a copy of the fixture `world_dsn`."""
    address = sa.make_url(dsn).set(drivername="postgresql+asyncpg")
    return Database(create_async_engine(address, pool_size=pool_size))


async def seed(conn: Any) -> None:
    """One tenant, in tables that are empty."""
    rows: Sequence[tuple[sa.Table, Mapping[str, Any]]] = (
        (t.domains, {"name": "default"}),
        (t.project_policies, {"name": "default"}),
        (t.user_policies, {"name": "default"}),
        (
            t.keypair_policies,
            {
                "name": "default",
                "default_for_unspecified": "UNLIMITED",
                "max_concurrent_sessions": 1000,
            },
        ),
        (
            t.projects,
            {
                "id": PROJECT,
                "name": "default",
                "domain_name": "default",
                "resource_policy": "default",
            },
        ),
        (
            t.users,
            {
                "id": USER,
                "email": "user@example.com",
                "username": "user",
                "domain_name": "default",
                "role": "user",
                "status": "active",
                "resource_policy": "default",
            },
        ),
        (
            t.keypairs,
            {
                "access_key": ACCESS_KEY,
                "secret_key_encrypted": b"",
                "user_id": USER,
                "resource_policy": "default",
            },
        ),
        (t.resource_groups, {"name": "default"}),
    )
    for table, row in rows:
        await conn.execute(sa.insert(table), row)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A session to put into the queue."""

    name: str = ""
    type: SessionType = SessionType.INTERACTIVE
    kernels: int = 1
    slots: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "mem": "1073741824"})
    cluster_mode: str = "single-node"
    priority: int = 10
    depends_on: tuple[SessionId, ...] = ()
    designated: tuple[str, ...] = ()
    starts_at: datetime | None = None
    startup_command: str | None = None
    access_key: str = ACCESS_KEY
    resource_group: str = "default"
    architecture: str = "x86_64"
    callback_url: str | None = None


def new_session(wish: Wish) -> NewSession:
    session_id = SessionId(uuid.uuid4())
    return NewSession(
        id=session_id,
        name=wish.name or f"session-{next(_counter)}",
        type=wish.type,
        domain_name="default",
        project_id=PROJECT,
        user_id=USER,
        access_key=wish.access_key,
        created_by=USER,
        resource_group=wish.resource_group,
        cluster_mode=wish.cluster_mode,
        kernels=tuple(_kernel(wish, index) for index in range(wish.kernels)),
        requested_slots=dict(wish.slots),
        priority=wish.priority,
        depends_on=wish.depends_on,
        designated_agents=wish.designated,
        starts_at=wish.starts_at,
        startup_command=wish.startup_command,
        callback_url=wish.callback_url,
    )


def _kernel(wish: Wish, index: int) -> NewKernel:
    role = ClusterRole.MAIN if index == 0 else ClusterRole.SUB
    number = 1 if index == 0 else index
    return NewKernel(
        id=KernelId(uuid.uuid4()),
        cluster_role=role,
        cluster_index=number,
        cluster_hostname=f"{role.value}{number}",
        image="python:3.11",
        architecture=wish.architecture,
        requested_slots=dict(wish.slots),
        shared_memory_bytes=67108864,
    )


async def enqueue(database: Database, wish: Wish) -> NewSession:
    new = new_session(wish)
    async with database.begin() as conn:
        await insert_session(conn, new, datetime.now(UTC))
    return new


async def add_agent(
    database: Database,
    agent_id: str,
    capacity: Mapping[str, str],
    **columns: Any,
) -> None:
    """A node that is alive and has been heard right now."""
    async with database.begin() as conn:
        await conn.execute(
            sa.insert(t.agents).values(
                **{
                    "id": agent_id,
                    "status": "ALIVE",
                    "address": f"{agent_id}:6001",
                    "public_key": "",
                    "resource_group": "default",
                    "status_changed_at": sa.func.now(),
                    "last_seen_at": sa.func.now(),
                    "steady_since": sa.func.now(),
                    **columns,
                }
            )
        )
        for slot, amount in capacity.items():
            await conn.execute(
                sa.insert(t.agent_slots).values(agent_id=agent_id, slot=slot, capacity=amount)
            )


async def fetch(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.begin() as conn:
        return [tuple(row) for row in await conn.execute(sa.text(statement), values)]


async def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `look` (plain or async) gives, once that is true; TimeoutError when it never is."""
    async with asyncio.timeout(seconds):
        while True:
            found = look()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
