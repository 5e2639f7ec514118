"""The planner's view of a database that goes on changing while the view is read."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import Reason
from backendai.common.lifecycle import KernelEvent
from backendai.manager.lifecycle.model import Move
from backendai.manager.lifecycle.moves import move_kernels
from backendai.manager.sched import load
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, open_world


async def test_a_session_that_leaves_the_queue_while_the_view_is_read_is_there_whole(
    make_database: Callable[[str | None], str], world_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    await add_agent(database, "i-1", {"cpu": "4", "mem": "8589934592"})
    stays = await enqueue(database, Wish(kernels=2))
    leaves = await enqueue(database, Wish(kernels=2))
    load_pending = load._load_pending

    async def load_pending_then_cancel(conn: AsyncConnection) -> list[list[Any]]:
        found = await load_pending(conn)
        moves = [
            Move(kernel_id=kernel.id, event=KernelEvent.TERMINATE, reason=Reason.USER_REQUESTED)
            for kernel in leaves.kernels
        ]
        async with database.begin() as other:
            await move_kernels(other, moves, datetime.now(UTC))
        return found

    monkeypatch.setattr(load, "_load_pending", load_pending_then_cancel)
    async with database.begin() as conn:
        view = await load.load_view(conn)
    kernels = {ask.session_id: len(ask.kernels) for ask in view.asks}
    assert kernels == {stays.id: 2, leaves.id: 2}
    plan(view, datetime.now(UTC), 0)
    await database.close()
