"""Commits of sessions to images: whose, under which name, and the task that has the node do it."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.contracts.agent import (
    COMMIT,
    COMMIT_WAIT_SECONDS_MAX,
    CommitKernel,
    Committed,
    ImageReport,
    KernelRef,
)
from backendai.common.enums import CommitStatus
from backendai.common.faults import Conflict, NotOffered, QuotaExceeded
from backendai.common.ids import AgentId, IdSource
from backendai.common.lifecycle import KernelStatus
from backendai.manager.agents.link import AgentLink
from backendai.manager.agents.patience import ask_until_done
from backendai.manager.agents.store import record_image
from backendai.manager.audit.change import Change, Changes
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, Scope
from backendai.manager.sessions import actions
from backendai.manager.sessions.model import Session
from backendai.manager.sessions.store import get_session
from backendai.manager.tasks.model import Progress, Task
from backendai.manager.tasks.saving import save_surely
from backendai.manager.tasks.store import begin_task, list_live

from .custom import CommitOrder, Owner, labels_of, make_name, prefix_of
from .store import nodes_with

# The name of the tasks.
COMMIT_SESSION: Final = actions.COMMIT.name
COMMIT_ID_BYTES: Final = 16
# These backends have no images that could be made.
_UNABLE: Final = frozenset({"process"})
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """How many images a user may have made, and how many bytes each may add to its base."""

    images_max: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Of a kernel; without a task none is at work."""

    kernel_id: str
    task_id: uuid.UUID | None = None
    image: str = ""

    @property
    def status(self) -> CommitStatus:
        return CommitStatus.READY if self.task_id is None else CommitStatus.ONGOING


class Commits:
    """What people ask for: a commit, and whether one is at work."""

    def __init__(
        self, database: Database, changes: Changes, ids: IdSource, limits: CommitLimits
    ) -> None:
        self._database = database
        self._changes = changes
        self._ids = ids
        self._limits = limits

    async def begin(self, actor: Actor, scope: Scope, reference: str, name: str | None) -> Commit:
        """Begin to make an image of the session's main kernel, for the session's owner.

        `name` as `check_custom_name` gives it. Asking again while it is being made gives the same
        task. Raises SessionNotFound, Conflict, NotOffered and QuotaExceeded.
        """

        async def work(change: Change) -> Commit:
            session = await get_session(change.connection, scope, reference)
            return await self._begin(change, session, name)

        return await self._changes.run(actor, actions.COMMIT, work)

    async def find(self, scope: Scope, reference: str) -> Commit:
        """Raises SessionNotFound."""

        async def work(conn: AsyncConnection) -> Commit:
            session = await get_session(conn, scope, reference)
            live = await list_live(conn, COMMIT_SESSION, {"session_id": str(session.id)})
            return _commit_of(live[0]) if live else Commit(str(session.main.id))

        return await self._database.read(work)

    async def _begin(self, change: Change, session: Session, wanted: str | None) -> Commit:
        conn = change.connection
        # Of one owner one at a time passes: two must not both take a name, or the last place.
        await conn.execute(_LOCK, {"key": f"custom images of {session.user_id}"})
        owner = await _owner_of(conn, session)
        name = wanted or make_name(session.name, change.at)
        image = prefix_of(owner.id) + name
        live = await list_live(conn, COMMIT_SESSION, {"owner_id": str(owner.id)})
        running = find_same(map(_commit_of, live), str(session.main.id), image, wanted)
        if running is not None:
            return running
        agent_id = await _place_of(conn, session)
        await self._check_room(conn, owner, image, len(live))
        order = self._order_of(session, owner, agent_id, name)
        params = msgspec.to_builtins(order)
        domain = session.domain_name
        task_id = await begin_task(change, COMMIT_SESSION, params, domain=domain)
        return Commit(order.kernel_id, task_id, order.image)

    async def _check_room(
        self, conn: AsyncConnection, owner: Owner, image: str, at_work: int
    ) -> None:
        known = t.images.c
        # It has its name for as long as a node has it, also when it was forgotten.
        is_own, is_there = known.name.startswith(prefix_of(owner.id)), nodes_with(known.id).exists()
        names = await conn.scalars(sa.select(known.name).where(is_own, is_there))
        taken = set(names)
        if image in taken:
            raise Conflict("There is an image of that name; choose another one.", {"image": image})
        if len(taken) + at_work >= self._limits.images_max:
            raise QuotaExceeded(
                f"A user may have {self._limits.images_max} custom images.",
                {"images": len(taken) + at_work, "limit": self._limits.images_max},
            )

    def _order_of(self, session: Session, owner: Owner, agent_id: str, name: str) -> CommitOrder:
        commit_id = self._ids.token(COMMIT_ID_BYTES).hex()
        return CommitOrder(
            session_id=str(session.id),
            owner_id=str(owner.id),
            kernel_id=str(session.main.id),
            generation=session.main.generation,
            agent_id=agent_id,
            image=prefix_of(owner.id) + name,
            labels=dict(labels_of(owner, name, commit_id)),
            bytes_max=self._limits.bytes_max,
        )


class CommitWork:
    """The work of a commit task. Whoever begins it again goes on: the node tells by the label of
    the image whether it is made."""

    def __init__(self, database: Database, link: AgentLink, ids: IdSource, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._ids = ids
        self._clock = clock

    async def __call__(self, params: Mapping[str, Any], progress: Progress) -> str:
        order = msgspec.convert(params, CommitOrder)
        await progress.tell(more=1, message=f"The node makes {order.image}")
        image = await self._make(order)
        agent_id = AgentId(order.agent_id)
        # What is made is not told as failed.
        await save_surely(
            self._database,
            self._clock,
            lambda conn: record_image(conn, agent_id, image, self._ids),
            image=image.name,
        )
        await progress.tell(done=1)
        return f"{order.image} is made, {image.size_bytes / 1e6:.1f} MB in all."

    async def _make(self, order: CommitOrder) -> ImageReport:
        """Asks until it is made, also through a restart of the agent."""
        request = CommitKernel(
            kernel=KernelRef(kernel_id=order.kernel_id, generation=order.generation),
            image=order.image,
            labels=order.labels,
            bytes_max=order.bytes_max,
            wait_seconds=COMMIT_WAIT_SECONDS_MAX,
        )
        agent_id = AgentId(order.agent_id)
        return await ask_until_done(self._link, self._clock, agent_id, COMMIT, request, _image_of)


def find_same(
    live: Iterable[Commit], kernel_id: str, image: str, wanted: str | None
) -> Commit | None:
    """Of an owner's commits that are at work the one that is asked for again: of this kernel, to
    `image` or, without a `wanted` name, to any. Raises Conflict where one is in the way. PURE."""
    for commit in live:
        is_of_kernel = commit.kernel_id == kernel_id
        if is_of_kernel and (wanted is None or commit.image == image):
            return commit
        if is_of_kernel:
            raise Conflict(f"It is being committed to {commit.image}.", {"image": commit.image})
        if commit.image == image:
            raise Conflict("Another session is being committed to that name.", {"image": image})
    return None


async def _image_of(reply: Committed) -> ImageReport | None:
    return reply.image


def _commit_of(task: Task) -> Commit:
    return Commit(task.params["kernel_id"], task.id, task.params["image"])


async def _owner_of(conn: AsyncConnection, session: Session) -> Owner:
    email = await conn.scalar(sa.select(t.users.c.email).where(t.users.c.id == session.user_id))
    return Owner(session.user_id, str(email))


async def _place_of(conn: AsyncConnection, session: Session) -> str:
    """The node of its main kernel. Raises Conflict and NotOffered."""
    agent_id = session.main.agent_id
    if session.main.status is not KernelStatus.RUNNING or agent_id is None:
        status = session.status.value
        raise Conflict(f"The session is {status}; it must be RUNNING for this.", {"status": status})
    backend = await conn.scalar(sa.select(t.agents.c.backend).where(t.agents.c.id == agent_id))
    if backend in _UNABLE:
        raise NotOffered("The node of the session runs no containers that images are made of.")
    return agent_id


async def find_committing(
    conn: AsyncConnection, session_ids: Collection[uuid.UUID]
) -> set[uuid.UUID]:
    """Which of these sessions are being committed now."""
    live = await list_live(conn, COMMIT_SESSION, {})
    return {uuid.UUID(task.params["session_id"]) for task in live} & set(session_ids)
