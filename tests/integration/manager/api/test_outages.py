"""The API while a store is away: told as 503 at once, never as a bug, and well again by itself.

Each store is behind a relay that can be cut (as after a kill) or frozen (as after a SIGSTOP).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backendai.common.etcd import EtcdStore
from backendai.common.settings.checks import HostPort
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import SOON_SECONDS, Answer, Caller, until
from tests.integration.manager.api.conftest import body_of, started

Relayed = tuple["Relay", ManagerSettings]


class Relay:
    """Passes bytes on to a store, or not."""

    def __init__(self, target: HostPort) -> None:
        self._target = target
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.address = HostPort("127.0.0.1", 0)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.address.port)
        self.address = HostPort("127.0.0.1", self._server.sockets[0].getsockname()[1])
        self._flows.set()

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    async def close(self) -> None:
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(self._target.host, self._target.port)
        self._writers |= {writer, back}
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def relayed(settings: ManagerSettings, store: str) -> AsyncIterator[Relayed]:
    relay = Relay(getattr(settings, store).addr)
    await relay.open()
    section = replace(getattr(settings, store), addr=relay.address)
    try:
        yield relay, replace(settings, **{store: section})
    finally:
        await relay.close()


@pytest.fixture
async def postgres(settings: ManagerSettings) -> AsyncIterator[Relayed]:
    async with relayed(settings, "db") as made:
        yield made


@pytest.fixture
def alice_of(http: aiohttp.ClientSession) -> Callable[[Manager], Caller]:
    return lambda manager: Caller(http, manager.address, "AKALICE", "secret-of-alice")


async def ask_timed(caller: Caller, verb: str = "GET", body: Any = None) -> tuple[Answer, float]:
    began = time.monotonic()
    target = "/session" if verb == "POST" else "/session/nosuch-session"
    return await caller.ask(verb, target, body), time.monotonic() - began


async def assert_away(alice: Caller, name: str) -> None:
    """Reads and writes get 503 soon, with the time after which to ask again."""
    for verb, body in (("GET", None), ("POST", body_of(name)), ("DELETE", None)):
        answer, seconds = await ask_timed(alice, verb, body)
        assert answer.status == 503, answer
        assert int(answer.headers["Retry-After"]) >= 1
        assert seconds < SOON_SECONDS, verb
    health = await alice.ask("GET", "/health")
    assert "reached" in health.json["checks"]["database"]


async def is_back(alice: Caller) -> bool:
    answer, _ = await ask_timed(alice)
    assert answer.status in (404, 503), answer
    return answer.status == 404


async def test_postgres_that_is_gone_is_told_and_comes_back(
    postgres: Relayed, alice_of: Callable[[Manager], Caller], name: str
) -> None:
    relay, settings = postgres
    async with started(settings) as manager:
        alice = alice_of(manager)
        assert await is_back(alice)
        await relay.cut()
        await assert_away(alice, name)
        await relay.open()
        await until(lambda: is_back(alice))


async def test_postgres_that_is_stopped_is_told_and_comes_back(
    postgres: Relayed, alice_of: Callable[[Manager], Caller], name: str
) -> None:
    relay, settings = postgres
    async with started(settings) as manager:
        alice = alice_of(manager)
        assert await is_back(alice)
        relay.freeze()
        # Those who ask in the first moment wait until the silence is noticed, and no longer.
        answer, seconds = await ask_timed(alice)
        assert answer.status == 503, answer
        assert seconds < 8
        await assert_away(alice, name)
        relay.thaw()
        await until(lambda: is_back(alice))


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_without_redis_everything_works_but_the_rate_limit(
    settings: ManagerSettings, alice_of: Callable[[Manager], Caller], name: str, how: str
) -> None:
    async with relayed(settings, "redis") as (relay, own), started(own) as manager:
        alice = alice_of(manager)
        if how == "cut":
            await relay.cut()
        else:
            relay.freeze()
        made = await alice.ask("POST", "/session", body_of(name, enqueueOnly=True))
        assert made.status == 201, made
        answer, seconds = await ask_timed(alice)
        assert answer.status == 404
        assert seconds < SOON_SECONDS
        assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
        await relay.close()


async def test_a_start_without_etcd_serves_what_was_known(
    settings: ManagerSettings,
    alice_of: Callable[[Manager], Caller],
    tmp_path: Path,
    etcd_addr: str,
) -> None:
    cache = tmp_path / "config.json"
    own = replace(settings, manager=replace(settings.manager, config_cache=cache))
    async with EtcdStore(own.etcd) as etcd:
        await etcd.put("config/announcement", "Back at noon")
        async with started(own):
            await until(lambda: asyncio.to_thread(cache.is_file))
        await etcd.delete("config/announcement")
    async with relayed(own, "etcd") as (relay, away):
        await relay.cut()
        async with started(away) as manager:
            alice = alice_of(manager)

            async def announced() -> bool:
                answer = await alice.ask("GET", "/manager/announcement")
                assert answer.status == 200, answer
                return bool(answer.json["message"] == "Back at noon")

            await until(announced)
            assert (await ask_timed(alice))[0].status == 404
