"""Alerts as superadmins see them, and quotas that a storage proxy tells of."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.command import run_inside as run
from tests.integration.manager.api.storage import ScriptedStorage, make, storage

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
ROUTES = (("GET", "/alerts"), ("POST", "/alerts/test"))


@pytest.fixture(autouse=True)
async def forgotten(manager: Manager) -> AsyncIterator[None]:
    yield
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.delete(t.alerts))


async def look(manager: Manager) -> None:
    watch = manager.services.alerts.watch
    await watch.look_at_storage()
    await watch.step()


async def alerts(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = await caller.ask("GET", f"/alerts{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["items"]
    return found


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_superadmins_ask(
    method: str, path: str, nobody: Caller, as_user: AsUser
) -> None:
    assert (await nobody.ask(method, path)).status == 401
    assert (await as_user("root").but(secret_key="x").ask(method, path)).status == 401
    for who in ("alice", "carol", "mallory"):
        assert (await as_user(who).ask(method, path)).status == 401


async def test_a_quota_that_is_near_is_listed_until_it_is_not(
    manager: Manager, as_user: AsUser, storage: ScriptedStorage
) -> None:
    root, alice = as_user("root"), as_user("alice")
    scope = f"volume1/{(await make(alice))['quota_scope_id']}"
    await look(manager)
    assert await alerts(root) == []
    storage.limits[scope] = 7
    await look(manager)
    [alert] = await alerts(root)
    assert (alert["kind"], alert["ended_at"]) == ("quota_near", None)
    assert alert["subject"] == "alice@example.com on local:volume1"
    assert "is 100 % full" in alert["detail"]
    await storage.stop()
    await look(manager)
    assert [one["id"] for one in await alerts(root)] == [alert["id"]], "nobody knows just now"
    await storage.start()
    await storage.register(manager.stores.etcd)
    storage.limits[scope] = None
    while await alerts(root):
        await look(manager)
    [ended] = await alerts(root, "?with_ended=true")
    assert (ended["id"], ended["ended_at"] is None) == (alert["id"], False)


async def test_the_command_lists_them_and_says_that_nobody_is_told(
    manager: Manager, as_user: AsUser, storage: ScriptedStorage
) -> None:
    assert (await run(manager, "admin", "alerts", "list")).stderr == "No alerts.\n"
    scope = f"volume1/{(await make(as_user('alice')))['quota_scope_id']}"
    storage.limits[scope] = 7
    await look(manager)
    assert "quota_near" in (await run(manager, "admin", "alerts", "list")).stdout
    done = await run(manager, "admin", "alerts", "test")
    assert (done.returncode, "nobody is told" in done.stderr) == (1, True)
    assert (await run(manager, "admin", "alerts", "list", name="bob")).returncode != 0
