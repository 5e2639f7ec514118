"""Images that superadmins bring to nodes before sessions ask for them, or take from nodes.

A task has a step for each image on each node. Whoever begins it again goes on, since a step says
what shall be.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.contracts.agent import (
    PULL_IMAGE,
    PULL_WAIT_SECONDS_MAX,
    REMOVE_IMAGE,
    ImageReport,
    Nothing,
    Pulled,
    PullImage,
    RemoveImage,
)
from backendai.common.enums import AgentStatus
from backendai.common.faults import Conflict, Fault, InvalidParams, NodesFailed, RegistryFault
from backendai.common.ids import AgentId
from backendai.common.lifecycle import HOLDING
from backendai.common.logs import get_logger
from backendai.manager.agents.link import AgentLink
from backendai.manager.agents.patience import ask_until_done
from backendai.manager.audit.change import Change
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import EVERYTHING
from backendai.manager.tasks.model import Progress
from backendai.manager.tasks.store import begin_task

from . import actions
from .registries import Registries
from .store import get_image

log = get_logger(__name__)

# The names of the tasks.
PRELOAD: Final = actions.PRELOAD.name
UNLOAD: Final = actions.UNLOAD.name
STEPS_MAX: Final = 1000
AT_ONCE: Final = 8
PROBLEMS_TOLD_MAX: Final = 5
_HOLDING: Final = sorted(status.value for status in HOLDING)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One image on one node; `digest` is empty where nobody knows it."""

    agent_id: str
    image: str
    digest: str


class Do(Protocol):
    async def __call__(self, step: Step, progress: Progress) -> None: ...


async def begin(
    change: Change, name: str, references: Sequence[str], agent_ids: Sequence[str]
) -> uuid.UUID:
    """The task, PRELOAD or UNLOAD. Raises InvalidParams and ImageNotFound."""
    steps = await _plan(change.connection, references, agent_ids)
    return await begin_task(change, name, {"steps": msgspec.to_builtins(steps)})


class StepsWork:
    """The work of both tasks: `do` each step, and tell all that went wrong."""

    def __init__(self, do: Do) -> None:
        self._do = do

    async def __call__(self, params: Mapping[str, Any], progress: Progress) -> str:
        steps = msgspec.convert(params["steps"], list[Step])
        await progress.tell(more=len(steps))
        tally, places = _Tally(), asyncio.Semaphore(AT_ONCE)

        async def work(step: Step) -> None:
            async with places:
                try:
                    await self._do(step, progress)
                except Fault as fault:
                    tally.fail(step, fault)
                await progress.tell(done=1)

        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(work(step), name=f"{step.image} on {step.agent_id}")
        told = tally.tell(len(steps))
        if tally.failed:
            raise NodesFailed(told)
        return told


class Preload:
    """Has a node pull an image, with the login of its registry."""

    def __init__(
        self, database: Database, registries: Registries, link: AgentLink, clock: Clock
    ) -> None:
        self._database = database
        self._registries = registries
        self._link = link
        self._clock = clock

    async def __call__(self, step: Step, progress: Progress) -> None:
        login = await self._database.read(
            lambda conn: self._registries.find_login(conn, step.image)
        )
        request = PullImage(
            image=step.image,
            digest=step.digest,
            login=login,
            wait_seconds=PULL_WAIT_SECONDS_MAX,
        )

        async def take(reply: Pulled) -> ImageReport | None:
            told = reply.progress if reply.image is None else "is there"
            await progress.tell(message=f"{step.agent_id}: {step.image} {told}".rstrip())
            return reply.image

        agent_id = AgentId(step.agent_id)
        image = await ask_until_done(self._link, self._clock, agent_id, PULL_IMAGE, request, take)
        if step.digest not in ("", image.digest):
            raise RegistryFault("Its registry has another one by now; rescan it.")


class Unload:
    """Has a node remove an image that no kernel there is made of."""

    def __init__(self, database: Database, link: AgentLink, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._clock = clock

    async def __call__(self, step: Step, progress: Progress) -> None:
        count = await self._database.read(lambda conn: _count_kernels(conn, step))
        if count:
            raise Conflict(f"{count} kernels of sessions need it there.")
        request = RemoveImage(image=step.image)
        agent_id = AgentId(step.agent_id)
        await ask_until_done(self._link, self._clock, agent_id, REMOVE_IMAGE, request, _taken)
        await progress.tell(message=f"{step.agent_id}: {step.image} is gone")


@dataclass(slots=True)
class _Tally:
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def fail(self, step: Step, fault: Fault) -> None:
        self.failed += 1
        if len(self.problems) < PROBLEMS_TOLD_MAX:
            why = fault.detail or fault.title
            self.problems.append(f"{step.agent_id}: {step.image}: {why}")

    def tell(self, count: int) -> str:
        """One sentence for people. PURE."""
        done = f"{count - self.failed} of {count} done."
        more = self.failed - len(self.problems)
        extra = f" and {more} more" if more else ""
        return f"{done} Failed: {'; '.join(self.problems)}{extra}" if self.failed else done


async def _taken(reply: Nothing) -> Nothing:
    return reply


async def _plan(
    conn: AsyncConnection, references: Sequence[str], agent_ids: Sequence[str]
) -> list[Step]:
    """Each image in the architecture of each node."""
    wanted, nodes = dict.fromkeys(references), dict.fromkeys(agent_ids)
    if not wanted or not nodes or len(wanted) * len(nodes) > STEPS_MAX:
        told = f"name at least one image and one agent, and at most {STEPS_MAX} pairs of them"
        raise InvalidParams("", {"references, target_agents": told})
    architectures = await _load_architectures(conn, list(nodes))
    found: dict[tuple[str, str], Step] = {}
    steps = []
    for agent_id in nodes:
        for reference in wanted:
            key = (reference, architectures[agent_id])
            if key not in found:
                found[key] = await _find(conn, *key)
            steps.append(msgspec.structs.replace(found[key], agent_id=agent_id))
    return steps


async def _load_architectures(conn: AsyncConnection, agent_ids: Sequence[str]) -> Mapping[str, str]:
    agents = t.agents.c
    is_there = (agents.id.in_(agent_ids), agents.status != AgentStatus.TERMINATED.value)
    rows = await conn.execute(sa.select(agents.id, agents.architecture).where(*is_there))
    found = {row.id: row.architecture for row in rows}
    missing = [one for one in agent_ids if one not in found]
    if missing:
        raise InvalidParams("", {"target_agents": f"there is no agent {missing[0][:128]!r}"})
    return found


async def _find(conn: AsyncConnection, reference: str, architecture: str) -> Step:
    image = await get_image(conn, EVERYTHING, reference, architecture)
    if await conn.scalar(sa.select(t.images.c.is_local).where(t.images.c.id == image.id)):
        told = f"{image.name} is of no registry, and only on the nodes that have it"
        raise InvalidParams("", {"references": told})
    return Step(agent_id="", image=image.name, digest=image.digest)


async def _count_kernels(conn: AsyncConnection, step: Step) -> int:
    kernels = t.kernels.c
    is_of = (kernels.agent_id == step.agent_id, kernels.image == step.image)
    statement = sa.select(sa.func.count()).where(*is_of, kernels.status.in_(_HOLDING))
    return int(await conn.scalar(statement.select_from(t.kernels)) or 0)
