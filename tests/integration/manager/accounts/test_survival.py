"""Two superadmins who remove each other at the same moment: one of them stays."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from backendai.common.clock import SystemClock
from backendai.common.enums import UserRole
from backendai.common.faults import Conflict
from backendai.common.ids import SystemIds
from backendai.common.secretfile import KEY_BYTES
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.accounts.service import Accounts, make_accounts
from backendai.manager.audit.change import Change, Changes
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor
from tests.integration.manager.world import fetch, open_world

MODIFY = Action("user.modify", writes=True)
OUTSIDER = Actor(
    access_key="AKOUTSIDER",
    user_id=uuid.UUID(int=99),
    email="outsider@example.com",
    username="outsider",
    full_name="",
    role=UserRole.SUPERADMIN,
    domain="default",
    is_admin=True,
    policy="default",
    rate_limit=1000,
)


@pytest.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    opened = open_world(await asyncio.to_thread(make_database, world_dsn))
    yield opened
    await opened.close()


@pytest.fixture
def accounts() -> Accounts:
    return make_accounts(SystemIds(), SecretBox(bytes(KEY_BYTES)))


async def test_two_who_remove_each_other_leave_one(database: Database, accounts: Accounts) -> None:
    settled: list[None] = []
    changes = Changes(database, SystemClock(), lambda: settled.append(None))
    emails = ["one@example.com", "two@example.com"]
    actors = []
    for email in emails:
        props = {"username": email, "password": "x", "role": "superadmin"}

        async def create(
            change: Change, email: str = email, props: dict[str, str] = props
        ) -> uuid.UUID:
            user, _ = await accounts.users.create(change, email, props)
            return uuid.UUID(str(user["id"]))

        user_id = await changes.run(OUTSIDER, MODIFY, create)
        actors.append(replace(OUTSIDER, user_id=user_id, email=email))

    both_wrote = asyncio.Barrier(2)

    async def remove(actor: Actor, email: str) -> None:
        async def work(change: Change) -> None:
            row = sa.select(t.users).where(t.users.c.email == email).with_for_update()
            await change.connection.execute(row)
            await both_wrote.wait()
            await accounts.users.delete(change, email)

        await changes.run(actor, MODIFY, work)

    async with asyncio.timeout(60):
        results = await asyncio.gather(
            remove(actors[0], emails[1]), remove(actors[1], emails[0]), return_exceptions=True
        )
    refused = [result for result in results if result is not None]
    assert [type(each) for each in refused] == [Conflict]
    statuses = "SELECT status FROM users WHERE role = 'superadmin' ORDER BY status"
    assert await fetch(database, statuses) == [("active",), ("deleted",)]
    assert len(settled) == 4
