"""`/events/session?sessionName=*`: the events of all sessions that somebody sees, in one stream."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import aiohttp
import sqlalchemy as sa

from backendai.manager.app import Manager
from backendai.manager.events.feed import News
from backendai.manager.gate.actor import EVERYTHING, Scope
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_work import read_events

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]
ALL = "/events/session?sessionName=*"
WRITE = sa.text(
    "insert into outbox (session_id, name, payload, relayed_at)"
    " values (:id, 'session_idle_warning', '{}', now()) returning id"
)


async def begun(response: aiohttp.ClientResponse) -> None:
    assert await response.content.readline() == b": heartbeat\n"


async def test_strangers_are_refused(alice: Caller) -> None:
    await refuse_strangers(alice, ("GET", ALL, None))


async def test_each_sees_what_they_list(as_user: AsUser, create: Create, name: str) -> None:
    alice, carol = as_user("alice"), as_user("carol")
    async with (
        asyncio.timeout(30),
        alice.stream(ALL) as own,
        carol.stream(ALL) as of_domain,
        carol.stream(f"{ALL}&owner_access_key=AKCAROL") as of_admin,
    ):
        for stream in (own, of_domain, of_admin):
            await begun(stream)
        made = (await create(alice, name, enqueueOnly=True))["sessionId"]
        administered = (await create(carol, f"{name}-2", enqueueOnly=True))["sessionId"]
        for stream, wanted in ((own, made), (of_domain, made), (of_admin, administered)):
            events = await read_events(stream, "session_enqueued")
            assert [each[1]["sessionId"] for each in events] == [wanted]


async def test_it_goes_on_after_what_was_seen(alice: Caller, create: Create, name: str) -> None:
    async with asyncio.timeout(30):
        async with alice.stream(ALL) as stream:
            await begun(stream)
            await create(alice, name, enqueueOnly=True)
            seen = (await read_events(stream, "session_enqueued"))[-1][2]
        await alice.ask("DELETE", f"/session/{name}?forced=true")
        async with alice.stream(ALL, **{"Last-Event-ID": str(seen)}) as stream:
            told = await read_events(stream, "session_cancelled")
    assert all(number > seen for _, _, number in told)


async def take(feed: Any, count: int) -> list[int]:
    """The ids of the next events."""
    ids: list[int] = []
    while len(ids) < count:
        news: News | None = await anext(feed)
        if news is not None:
            ids.append(news.id)
    return ids


async def test_what_is_committed_late_is_told_late(
    alice: Caller, create: Create, name: str, manager: Manager
) -> None:
    one, other = [
        uuid.UUID((await create(alice, f"{name}-{n}", enqueueOnly=True))["sessionId"])
        for n in range(2)
    ]
    engine, feed = manager.stores.database.engine, manager.services.feed
    async with asyncio.timeout(30), aclosing(feed.follow_all(EVERYTHING, None, "AKROOT")) as news:
        waiting = asyncio.ensure_future(take(news, 1))
        async with engine.connect() as slow:
            late = (await slow.execute(WRITE, {"id": one})).scalar_one()
            # Until the feed has begun, what is written is not new to it.
            while not waiting.done():
                async with engine.begin() as fast:
                    early = (await fast.execute(WRITE, {"id": other})).scalar_one()
                    await fast.execute(sa.text("select pg_notify('lifecycle', 'outbox')"))
                await asyncio.wait([waiting], timeout=0.05)
            assert waiting.result()[0] > late
            await slow.commit()
        while (told := (await take(news, 1))[0]) != late:
            assert late < told <= early


async def test_more_than_a_batch_comes_whole_and_once(
    alice: Caller, create: Create, name: str, manager: Manager
) -> None:
    session_id = uuid.UUID((await create(alice, name, enqueueOnly=True))["sessionId"])
    many = sa.text(
        "insert into outbox (session_id, name, payload, relayed_at, created_at)"
        " select :id, 'session_idle_warning', '{}', now(), now() - (n % 2) * interval '1 hour'"
        " from generate_series(1, 450) n returning id"
    )
    async with manager.stores.database.engine.begin() as connection:
        written = sorted(await connection.scalars(many, {"id": session_id}))
    feed = manager.services.feed.follow_all(Scope(access_key="AKALICE"), written[0] - 1, "AKALICE")
    async with asyncio.timeout(30), aclosing(feed) as news:
        assert await take(news, 450) == written


async def test_it_ends_for_those_who_may_not_come_any_more(
    as_user: AsUser, manager: Manager
) -> None:
    lock = sa.text("update keypairs set is_active = :is_active where access_key = 'AKCAROL'")

    async def let_in(is_active: bool) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(lock, {"is_active": is_active})

    async with asyncio.timeout(30), as_user("carol").stream(ALL) as stream:
        await begun(stream)
        await let_in(False)
        try:
            rest = await stream.content.read()
        finally:
            await let_in(True)
    assert b"server_close" not in rest
