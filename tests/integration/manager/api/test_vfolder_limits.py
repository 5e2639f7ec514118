"""Limits that policies give: they reach the quota scopes that are there, and end at no outage."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.clock import FakeClock
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from backendai.manager.vfolders.limits import LimitWatch
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.storage import ScriptedStorage, make, storage

__all__ = ["storage"]

GIB = 1 << 30


@pytest.fixture
async def other_policy(manager: Manager) -> AsyncIterator[str]:
    name = f"p{uuid.uuid4().hex[:8]}"
    values = {"name": name, "max_quota_scope_size": 5 * GIB}
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.insert(t.user_policies).values(values))
    yield name
    async with manager.stores.database.begin() as connection:
        back = sa.update(t.users).where(t.users.c.resource_policy == name)
        await connection.execute(back.values(resource_policy="default"))
        await connection.execute(sa.delete(t.user_policies).where(t.user_policies.c.name == name))


async def change(manager: Manager, statement: Any) -> None:
    async with manager.stores.database.begin() as connection:
        await connection.execute(statement)


async def test_what_a_policy_says_reaches_scopes_that_are_there(
    manager: Manager, alice: Caller, storage: ScriptedStorage, other_policy: str
) -> None:
    watch = LimitWatch(manager.stores.database, manager.services.vfolders.proxies, FakeClock())
    scope = f"volume1/{(await make(alice))['quota_scope_id']}"
    default = sa.update(t.user_policies).where(t.user_policies.c.name == "default")
    await watch.step()
    assert storage.limits == {scope: None}
    await change(manager, default.values(max_quota_scope_size=GIB))
    await watch.step()
    assert storage.limits == {scope: GIB}
    # What an administrator sets stays until the policy says something else.
    storage.limits[scope] = 7
    await watch.step()
    assert storage.limits == {scope: 7}
    alices = sa.update(t.users).where(t.users.c.username == "alice")
    await change(manager, alices.values(resource_policy=other_policy))
    await watch.step()
    assert storage.limits == {scope: 5 * GIB}
    await change(manager, alices.values(resource_policy="default"))
    await change(manager, default.values(max_quota_scope_size=0))
    await watch.step()
    assert storage.limits == {scope: None}


async def test_a_host_that_is_away_is_told_when_it_is_back(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    clock = FakeClock()
    watch = LimitWatch(manager.stores.database, manager.services.vfolders.proxies, clock)
    scope = f"volume1/{(await make(alice))['quota_scope_id']}"
    storage.refusals["/quota-scope"] = (500, {"msg": "the disk is on fire"})
    await change(manager, sa.update(t.user_policies).values(max_quota_scope_size=GIB))
    await watch.step()
    assert storage.limits == {scope: None}
    storage.refusals.clear()
    await clock.advance(3600.0)
    await watch.step()
    assert storage.limits == {scope: GIB}
