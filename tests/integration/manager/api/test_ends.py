"""A manager that ends waits for nobody who may stay for ever: all wait for the next one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from backendai.common.http import serve
from backendai.common.settings.checks import HostPort
from backendai.manager.api import make_manager_app
from backendai.manager.app import Manager
from backendai.manager.sessions.rest import TOKEN_HEADER
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of

Create = Callable[..., Awaitable[dict[str, Any]]]
PATIENCE_SECONDS = 30
FOR_EVER_SECONDS = 600.0


@asynccontextmanager
async def ending(manager: Manager, settings: ManagerSettings) -> AsyncIterator[HostPort]:
    """A server of the API that would wait for ever for who does not come to an end."""
    app = make_manager_app(manager.services, manager.core.health, manager.stores, settings)
    here = HostPort("127.0.0.1", 0)
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        serve(app, here, shutdown_seconds=FOR_EVER_SECONDS) as address,
    ):
        yield address


async def test_a_stream_of_events_ends_whole(
    manager: Manager, settings: ManagerSettings, alice: Caller
) -> None:
    async with ending(manager, settings) as address:
        opened = alice.but(address=address).stream("/events/session?sessionName=*")
        stream = await opened.__aenter__()
        assert await stream.content.readline() == b": heartbeat\n"
    assert (await stream.read()).strip() == b""
    await opened.__aexit__(None, None, None)


async def test_who_waits_for_a_session_is_told_so_or_may_ask_again(
    manager: Manager, settings: ManagerSettings, alice: Caller, name: str
) -> None:
    async with ending(manager, settings) as address:
        there = alice.but(address=address)
        told = asyncio.create_task(there.ask("POST", "/session", body_of(name)))
        token = {TOKEN_HEADER: "again"}
        other = body_of(f"{name}-2")
        broken = asyncio.create_task(there.ask("POST", "/session", other, headers=token))

        async def are_waiting() -> bool:
            found = [await alice.ask("GET", f"/session/{each}") for each in (name, f"{name}-2")]
            return {each.status for each in found} == {200}

        await until(are_waiting)
    assert (await told).json["status"] == "TIMEOUT"
    with pytest.raises(aiohttp.ClientConnectionError):
        await broken
