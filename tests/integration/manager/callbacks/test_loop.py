"""The loop on a real database; time is a value, so nobody waits for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.clock import FakeClock
from backendai.common.ids import AgentId, SystemIds
from backendai.common.lifecycle import KernelEvent
from backendai.manager.callbacks.loop import Callbacks
from backendai.manager.callbacks.model import ATTEMPTS_MAX
from backendai.manager.callbacks.post import NotTold
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.model import Move, NewSession
from backendai.manager.lifecycle.postgres import PostgresStore
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

URL = "https://receiver.example.com/?key=1"
STARTED = ["enqueued", "scheduled", "started"]


class Receiver:
    """An address that takes what is posted to it, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.attempts = 0
        self.taken: list[dict[str, Any]] = []

    async def __call__(self, url: str, body: bytes) -> None:
        assert url == URL
        self.attempts += 1
        if self.is_away:
            raise NotTold("it is away")
        self.taken.append(json.loads(body))

    def events(self, session: NewSession) -> list[str]:
        return [one["event"] for one in self.taken if one["session_id"] == str(session.id)]


class Floor:
    """A database with a node, and managers that look at it when they are told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(datetime.now(UTC) + timedelta(seconds=1))
        self.core = PostgresStore(database, SystemIds())
        self.receiver = Receiver()
        self.callbacks = self.manager("first")

    def manager(self, holder: str) -> Callbacks:
        return Callbacks(self.database, self.core, self.receiver, self.clock, holder)

    async def run(self, url: str | None = URL) -> NewSession:
        new = await enqueue(self.database, Wish(callback_url=url))
        await self.move(new, KernelEvent.PLACE, agent_id=AgentId("i-1"))
        await self.move(new, KernelEvent.START)
        return new

    async def end(self, session: NewSession) -> None:
        await self.move(session, KernelEvent.TERMINATE)
        await self.move(session, KernelEvent.GONE)

    async def move(self, session: NewSession, event: KernelEvent, **more: Any) -> None:
        [kernel] = session.kernels
        await self.core.move([Move(kernel_id=kernel.id, event=event, **more)], self.clock.now())

    async def look(self, times: int, seconds: float = 0.0) -> None:
        for _ in range(times):
            self.clock.shift(seconds)
            await self.callbacks.step()

    async def kept(self) -> list[tuple[Any, ...]]:
        return await fetch(self.database, "select session_id, attempts from callbacks")


@pytest.fixture
async def floor(make_database: Callable[[str | None], str], world_dsn: str) -> AsyncIterator[Floor]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "16", "mem": "171798691840"})
    yield Floor(database)
    await database.close()


async def test_each_status_is_told_once_and_in_order(floor: Floor) -> None:
    quiet, session = await floor.run(url=None), await floor.run()
    assert await floor.kept() == [(session.id, 0)]
    await floor.look(5)
    assert floor.receiver.events(session) == STARTED
    first, *_ = floor.receiver.taken
    [(at,)] = await fetch(
        floor.database, "select min(created_at) from outbox where session_id = :id", id=session.id
    )
    assert datetime.fromisoformat(first["when"]) == at
    await floor.callbacks.forget()
    assert await floor.kept() == [(session.id, 0)]
    await floor.end(session)
    await floor.callbacks.forget()
    assert await floor.kept() == [(session.id, 0)]
    await floor.look(5)
    assert floor.receiver.events(session) == [*STARTED, "terminating", "terminated"]
    await floor.callbacks.forget()
    assert await floor.kept() == []
    assert floor.receiver.events(quiet) == []


async def test_what_fails_is_tried_later_and_later_and_not_for_ever(floor: Floor) -> None:
    floor.receiver.is_away = True
    session = await floor.run()
    await floor.look(3)
    assert floor.receiver.attempts == 1
    for seconds in (4, 1, 9, 1):
        await floor.look(1, seconds)
    assert floor.receiver.attempts == 3
    floor.receiver.is_away = False
    await floor.look(1, 19)
    assert floor.receiver.events(session) == []
    await floor.look(4, 1)
    assert floor.receiver.events(session) == STARTED
    floor.receiver.is_away, floor.receiver.attempts = True, 0
    await floor.end(session)
    await floor.look(ATTEMPTS_MAX, 3600)
    assert floor.receiver.attempts == ATTEMPTS_MAX
    floor.receiver.is_away = False
    await floor.look(3)
    assert floor.receiver.events(session) == [*STARTED, "terminated"]


async def test_one_that_is_away_keeps_no_other_waiting(floor: Floor) -> None:
    """Failures come behind what has not failed yet."""
    floor.receiver.is_away = True
    stuck = [await floor.run() for _ in range(2)]
    await floor.look(1)
    floor.receiver.is_away = False
    session = await floor.run()
    await floor.look(3)
    assert floor.receiver.events(session) == STARTED
    assert [floor.receiver.events(one) for one in stuck] == [[], []]


async def test_another_manager_goes_on_where_the_first_ended(floor: Floor) -> None:
    session, other = await floor.run(), floor.manager("second")
    await floor.look(1)
    await other.step()
    assert floor.receiver.events(session) == STARTED[:1]
    async with floor.database.begin() as conn:
        gone = sa.func.now() - timedelta(seconds=1)
        await conn.execute(sa.update(t.leases).values(expires_at=gone))
    for _ in range(3):
        await other.step()
    assert floor.receiver.events(session) == STARTED
