"""The key of the relays is replaced while managers run, apps are open, and agents know the old."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

from backendai.common.relay_secrets import RelaySecret, read_secrets, rotated, write_secrets
from backendai.common.tickets import derive_relay_key
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.relay import ScriptedRelay
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_apps import relay, settings

__all__ = ["relay", "settings"]

NEW = b"n" * 32


async def is_echoed(socket: ClientWebSocketResponse) -> bool:
    await socket.send_bytes(b"x")
    return (await socket.receive()).type is WSMsgType.BINARY


async def test_a_key_is_replaced_while_streams_are_open(
    alice: Caller,
    relay: ScriptedRelay,
    agent: ScriptedAgent,
    settings: ManagerSettings,
    create: Callable[..., Awaitable[dict[str, Any]]],
    name: str,
) -> None:
    path = settings.relay.secret_key_file or Path()
    (old,) = read_secrets(path)
    keys = [derive_relay_key(key, agent.agent_id) for key in (old.key, NEW)]

    async def are_both_told() -> bool:
        return agent.asked_of("set_relay_keys")[-1].keys == keys

    async def opens() -> bool:
        async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
            return await is_echoed(socket)

    await create(alice, name)
    async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as before:
        assert await is_echoed(before)
        both = rotated((old,), NEW, datetime.now(UTC), timedelta(hours=1))
        write_secrets(path, both)
        await until(are_both_told)
        relay.keys = keys[:1]
        assert await opens()
        # Its hour comes.
        write_secrets(path, (old, replace(both[1], since=datetime.now(UTC))))
        relay.keys = keys[1:]
        await until(opens)
        # What was signed with the one before is still let in where both are known.
        relay.keys = keys
        assert await opens()
        assert await is_echoed(before)
    assert both[0] == RelaySecret(old.key)
