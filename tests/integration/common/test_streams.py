"""Hints over a real store and in memory: what is published arrives, what may be missing shows."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from backendai.common.clock import SystemClock
from backendai.common.failpoints import FailpointReached, Mode, arm, disarm
from backendai.common.faults import StoreUnavailable
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import RedisSettings
from backendai.common.streams import GAP, Batch, Hints, MemoryHints, RedisHints, open_redis
from backendai.halfstack.stores import StoreAddresses

PATIENCE_SECONDS = 60


def settings_of(url: str) -> RedisSettings:
    parts = urlsplit(url)
    return RedisSettings(
        addr=HostPort(parts.hostname or "", parts.port or 0),
        password=parts.password or "",
        db=int(parts.path.strip("/") or "0"),
    )


@pytest.fixture(params=["memory", "redis"])
async def hints(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Hints]:
    if request.param == "memory":
        yield MemoryHints()
        return
    own = RedisHints(settings_of(redis_url), SystemClock())
    yield own
    await own.close()


async def cut_readers(url: str) -> None:
    """Kill the connections that wait for entries in this database, as soon as there is one."""
    async with redis.asyncio.Redis.from_url(url) as raw, asyncio.timeout(PATIENCE_SECONDS):
        number, killed = urlsplit(url).path.strip("/"), 0
        while not killed:
            for client in await raw.client_list():
                if client["db"] == number and "xread" in client["cmd"]:
                    killed += await raw.client_kill_filter(_id=client["id"])


async def next_batch(batches: AsyncGenerator[Batch, None]) -> Batch:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(batches)


async def next_payloads(batches: AsyncGenerator[Batch, None], count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        found += (await next_batch(batches)).payloads
    return found


async def test_payloads_arrive_in_order_after_the_first_gap(hints: Hints) -> None:
    async with aclosing(hints.subscribe("order")) as batches:
        assert await next_batch(batches) == GAP
        sent = [str(number).encode() for number in range(250)]
        await hints.publish("order", sent[:100])
        await hints.publish("order", sent[100:])
        assert await next_payloads(batches, 250) == sent


async def test_every_subscriber_gets_everything(hints: Hints) -> None:
    async with aclosing(hints.subscribe("all")) as one, aclosing(hints.subscribe("all")) as two:
        assert await next_batch(one) == await next_batch(two) == GAP
        await hints.publish("all", [b"x"])
        assert await next_payloads(one, 1) == await next_payloads(two, 1) == [b"x"]


async def test_topics_are_separate(hints: Hints) -> None:
    async with aclosing(hints.subscribe("mine")) as batches:
        await next_batch(batches)
        await hints.publish("other", [b"no"])
        await hints.publish("mine", [])
        await hints.publish("mine", [b"yes"])
        assert await next_payloads(batches, 1) == [b"yes"]


async def test_a_flushed_store_costs_no_later_hint(redis_url: str) -> None:
    hints = RedisHints(settings_of(redis_url), SystemClock())
    async with aclosing(hints.subscribe("flushed")) as batches:
        await next_batch(batches)
        await hints.publish("flushed", [b"before"])
        assert await next_payloads(batches, 1) == [b"before"]
        async with redis.asyncio.Redis.from_url(redis_url) as raw:
            await raw.flushdb()
        assert await next_batch(batches) == GAP
        await hints.publish("flushed", [b"after"])
        assert await next_payloads(batches, 1) == [b"after"]
    await hints.close()


async def test_a_subscriber_that_lost_its_connection_gets_a_gap_and_goes_on(redis_url: str) -> None:
    hints = RedisHints(settings_of(redis_url), SystemClock())
    async with aclosing(hints.subscribe("cut")) as batches:
        await next_batch(batches)
        waiting = asyncio.create_task(next_batch(batches))
        await cut_readers(redis_url)
        assert await waiting == GAP
        await hints.publish("cut", [b"after"])
        assert await next_payloads(batches, 1) == [b"after"]
    await hints.close()


async def test_a_killed_store_costs_a_gap_and_no_later_hint(stores: StoreAddresses) -> None:
    """The test's store is killed while a subscriber waits; its keeper starts it again."""
    hints = RedisHints(settings_of(stores.redis), SystemClock())
    async with aclosing(hints.subscribe("killed")) as batches:
        await next_batch(batches)
        waiting = asyncio.create_task(next_batch(batches))
        async with redis.asyncio.Redis.from_url(stores.redis) as raw:
            os.kill((await raw.info("server"))["process_id"], signal.SIGKILL)
        assert await waiting == GAP
        await publish_when_back(hints, "killed", b"after")
        while b"after" not in (await next_batch(batches)).payloads:
            continue
    await hints.close()


async def publish_when_back(hints: Hints, topic: str, payload: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await hints.publish(topic, [payload])
            except StoreUnavailable:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["hints.before_publish", "hints.after_publish"])
async def test_a_failure_around_publishing_costs_that_call(redis_url: str, name: str) -> None:
    hints = RedisHints(settings_of(redis_url), SystemClock())
    arm(name, Mode.RAISE)
    with pytest.raises(FailpointReached):
        await hints.publish(name, [b"x"])
    disarm(name)
    await hints.publish(name, [b"y"])
    await hints.close()


async def test_an_unreachable_store_is_a_fault_in_bounded_time() -> None:
    hints = RedisHints(RedisSettings(addr=HostPort("127.0.0.1", 1)), SystemClock())
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(StoreUnavailable):
            await hints.publish("nowhere", [b"x"])
    await hints.close()


async def test_memory_hints_that_overflow_leave_a_gap() -> None:
    hints = MemoryHints()
    async with aclosing(hints.subscribe("t")) as batches:
        await next_batch(batches)
        for number in range(1_500):
            await hints.publish("t", [str(number).encode()])
        assert await next_batch(batches) == GAP
        hints.empty()
        assert await next_batch(batches) == GAP


async def test_more_commands_at_once_than_connections_wait_for_each_other(redis_url: str) -> None:
    async with open_redis(settings_of(redis_url), timeout_seconds=PATIENCE_SECONDS) as client:
        counted = await asyncio.gather(*(client.incr("counted") for _ in range(500)))
    assert sorted(counted) == list(range(1, 501))
