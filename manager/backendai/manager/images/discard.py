"""Removes custom images that nobody is to have any more from the nodes that still have them.

What is left to remove is read again at each look, so that a node that was away is asked when it is
back. An image stays for as long as a session needs it, and where a container of others does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.contracts.agent import COMMIT_LABEL, REMOVE_IMAGE, RemoveImage
from backendai.common.enums import AgentStatus
from backendai.common.faults import Fault
from backendai.common.ids import AgentId
from backendai.common.lifecycle import LIVE
from backendai.common.logs import get_logger
from backendai.common.pauses import FailingThings, GrowingPause
from backendai.manager.agents.link import AgentLink
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.store import CoreStore
from backendai.manager.tasks.model import TaskStatus

from .commits import COMMIT_SESSION
from .preloads import AT_ONCE
from .store import is_custom_row

log = get_logger(__name__)

LOOK_SECONDS: Final = 3.0
LEASE_NAME: Final = "images"
LEASE_SECONDS: Final = 15.0
ASK_SECONDS: Final = 30.0
ROWS_MAX: Final = 200
# What a node keeps, since a container of others is made of it, is asked for ever more seldom.
PAUSE: Final = GrowingPause(share=1.0, seconds_min=LOOK_SECONDS, seconds_max=600.0)
_LIVE: Final = sorted(status.value for status in LIVE)
_i: Final = t.images.c


class Turn(Protocol):
    async def is_held(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Leftover:
    """An image of the one `digest` on one node."""

    agent_id: str
    image: str
    digest: str


def hold_turn(core_store: CoreStore, clock: Clock, holder: str) -> Lease:
    """The turn of the manager that is called `holder`."""
    return Lease(core_store, clock, LEASE_NAME, holder, LEASE_SECONDS)


class Discard:
    def __init__(self, database: Database, link: AgentLink, turn: Turn, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._turn = turn
        self._kept = FailingThings[Leftover](PAUSE, clock)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def step(self) -> None:
        """One look. Raises StoreUnavailable."""
        if not await self._turn.is_held():
            return
        await self._database.transact(forget_unwanted)
        found = await self._database.read(load_leftovers)
        async with asyncio.TaskGroup() as group:
            for one in found:
                if self._kept.is_due(one):
                    name = f"discard {one.image} on {one.agent_id}"
                    group.create_task(self._remove(one), name=name)

    async def _remove(self, one: Leftover) -> None:
        request = RemoveImage(image=one.image, digest=one.digest)
        async with self._places:
            try:
                await self._link.ask(AgentId(one.agent_id), REMOVE_IMAGE, request, ASK_SECONDS)
            except Fault as fault:
                log.info("image.kept", agent=one.agent_id, image=one.image, detail=fault.detail)
                self._kept.note(one)
            else:
                self._kept.forget(one)
                log.info("image.discarded", agent=one.agent_id, image=one.image)


async def forget_unwanted(conn: AsyncConnection) -> None:
    """What a node made of a commit that was cancelled meanwhile."""
    made_by, asked_for = _i.labels[COMMIT_LABEL].astext, t.tasks.c.params["labels"]
    cancelled = sa.exists().where(
        t.tasks.c.name == COMMIT_SESSION,
        t.tasks.c.status == TaskStatus.CANCELLED.value,
        asked_for[COMMIT_LABEL].astext == made_by,
    )
    unwanted = (_i.is_active, is_custom_row(), cancelled)
    await conn.execute(sa.update(t.images).where(*unwanted).values(is_active=False))


async def load_leftovers(conn: AsyncConnection) -> Sequence[Leftover]:
    """Forgotten custom images that no live session is of, on the nodes that can be asked now: some
    of them where they are many, others at each look."""
    needed = sa.exists().where(t.kernels.c.image_id == _i.id, t.kernels.c.status.in_(_LIVE))
    on_node, agents = t.image_agents, t.agents.c
    found = await conn.execute(
        sa.select(on_node.c.agent_id, _i.name, _i.digest)
        .join(on_node, on_node.c.image_id == _i.id)
        .join(t.agents, agents.id == on_node.c.agent_id)
        .where(~_i.is_active, is_custom_row(), ~needed, agents.status == AgentStatus.ALIVE.value)
        .order_by(sa.func.random())
        .limit(ROWS_MAX)
    )
    return [Leftover(*row) for row in found]
