"""The planner's view of a database that goes on changing while the view is read."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import Reason
from backendai.common.ids import KernelId
from backendai.common.lifecycle import KernelEvent
from backendai.manager.db import tables as t
from backendai.manager.lifecycle.enqueue import insert_session
from backendai.manager.lifecycle.model import Move
from backendai.manager.lifecycle.moves import move_kernels
from backendai.manager.sched import load
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import USER, Wish, add_agent, enqueue, new_session, open_world


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


async def test_kernels_go_to_the_nodes_that_have_their_own_images(
    make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    ids = [uuid.uuid4(), uuid.uuid4()]
    names = [f"custom/{USER.hex}/{name}:1" for name in ("a", "b")]
    wish = new_session(Wish(kernels=2, cluster_mode="multi-node"))
    kernels = [
        replace(kernel, image=name, image_id=image_id)
        for kernel, name, image_id in zip(wish.kernels, names, ids, strict=True)
    ]
    spread = replace(wish, kernels=tuple(kernels))
    alone = replace(new_session(Wish()), kernels=(replace(kernels[1], id=KernelId(uuid.uuid4())),))
    for node in ("i-1", "i-2", "i-3"):
        await add_agent(database, node, {"cpu": "4", "mem": "8589934592"})
    async with database.begin() as conn:
        for image_id, name in zip(ids, names, strict=True):
            image = {"id": image_id, "name": name, "architecture": "x86_64", "labels": {}}
            await conn.execute(sa.insert(t.images).values(**image))
        held = [(ids[0], "i-1"), (ids[1], "i-2"), (ids[1], "i-3")]
        rows = [{"image_id": image_id, "agent_id": node} for image_id, node in held]
        await conn.execute(sa.insert(t.image_agents).values(rows))
        for new in (spread, alone):
            await insert_session(conn, new, datetime.now(UTC))
    async with database.begin() as conn:
        view = await load.load_view(conn)
    designated = {ask.session_id: [one.designated for one in ask.kernels] for ask in view.asks}
    assert designated == {spread.id: [("i-1",), ("i-2", "i-3")], alone.id: [("i-2", "i-3")]}
    await database.close()
