"""What superadmins do to the cluster as a whole. Each deed is logged with who did it."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.config import ConfigStore
from backendai.common.enums import Reason
from backendai.common.faults import AgentNotFound
from backendai.common.ids import AgentId
from backendai.common.logs import get_logger
from backendai.manager.agents.service import Agents
from backendai.manager.agents.store import list_agents
from backendai.manager.config.cluster import ANNOUNCEMENT_KEY
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.lifecycle.changes import HINT_PLAN, agent_hint
from backendai.manager.lifecycle.moves import lock_stored, notify, write_moves
from backendai.manager.lifecycle.orders import end_moves
from backendai.manager.sched.apply import lock_planning

from .model import ClusterStatus, Standing
from .presence import list_live
from .store import list_active, load_standing, write_status
from .watch import HINT_STATUS, StatusWatch

log = get_logger(__name__)

# Sessions that are ended in one transaction.
BATCH: Final = 50
_NAMED_MAX: Final = 20


class Notices(Protocol):
    async def announcement(self) -> tuple[bool, str]: ...


class Maintenance:
    def __init__(
        self,
        database: Database,
        config: ConfigStore,
        notices: Notices,
        watch: StatusWatch,
        clock: Clock,
        agents_of: Callable[[Actor], Agents],
    ) -> None:
        """`agents_of` gives the nodes as somebody works on them."""
        self._database = database
        self._config = config
        self._notices = notices
        self._watch = watch
        self._clock = clock
        self._agents_of = agents_of

    async def standing(self) -> tuple[Standing, list[dict[str, Any]]]:
        """With what the managers that live say of themselves."""

        async def work(conn: AsyncConnection) -> tuple[Standing, list[dict[str, Any]]]:
            return await load_standing(conn), await list_live(conn)

        return await self._database.read(work)

    async def set_status(
        self, actor: Actor, status: ClusterStatus, *, is_killing: bool = False
    ) -> None:
        """Freeze the cluster or let it run; doing it again is right.

        When this returns, nothing is placed any more by any manager; all of them refuse new
        sessions a moment later. With `is_killing` the end of all that has been placed is ordered.
        """

        async def work(conn: AsyncConnection) -> bool:
            # What is being placed now is placed before, and seen by the killing below.
            await lock_planning(conn)
            is_changed = await write_status(conn, status, actor.email)
            await notify(conn, [HINT_STATUS, HINT_PLAN])
            return is_changed

        is_changed = await self._database.transact(work)
        await self._watch.look()
        log.warning(
            f"cluster.{status.value}", by=actor.email, changed=is_changed, killing=is_killing
        )
        if is_killing:
            await self._end_all(actor)

    async def announcement(self) -> tuple[bool, str]:
        return await self._notices.announcement()

    async def announce(self, actor: Actor, message: str) -> None:
        """Show `message` to everybody, or nothing when it is empty. Raises StoreUnavailable."""
        if message:
            await self._config.put(ANNOUNCEMENT_KEY, message)
        else:
            await self._config.delete(ANNOUNCEMENT_KEY)
        log.warning("announcement.changed", by=actor.email, chars=len(message))

    async def allow_sessions(
        self, actor: Actor, agent_ids: Sequence[str], *, is_allowed: bool
    ) -> None:
        """Resume or pause nodes: all of them or, where one is not known, none.

        Raises AgentNotFound.
        """
        known = {row.id for row in await self._database.read(list_agents)}
        missing = [name for name in agent_ids if name not in known]
        if missing:
            facts = {"known": ", ".join(sorted(known)[:_NAMED_MAX]) or "none"}
            raise AgentNotFound(", ".join(missing[:_NAMED_MAX]), facts)
        agents = self._agents_of(actor)
        for name in dict.fromkeys(agent_ids):
            await (agents.resume if is_allowed else agents.pause)(AgentId(name))

    async def trigger_planning(self, actor: Actor) -> None:
        """Let the scheduler look at the queue now."""
        await self._hint([HINT_PLAN])
        log.info("scheduler.triggered", by=actor.email, what="schedule")

    async def trigger_starts(self, actor: Actor) -> None:
        """Let every node's observer look now at what its kernels should be."""
        rows = await self._database.read(list_agents)
        await self._hint([agent_hint(row.id) for row in rows])
        log.info("scheduler.triggered", by=actor.email, what="prepare")

    async def _hint(self, topics: Sequence[str]) -> None:
        await self._database.transact(lambda conn: notify(conn, topics))

    async def _end_all(self, actor: Actor) -> None:
        ids = await self._database.read(list_active)
        for start in range(0, len(ids), BATCH):
            await self._end(ids[start : start + BATCH], actor)
        log.warning("cluster.sessions_ended", by=actor.email, count=len(ids))

    async def _end(self, session_ids: Sequence[uuid.UUID], actor: Actor) -> None:
        async def work(conn: AsyncConnection) -> None:
            stored = await lock_stored(conn, session_ids)
            moves = [
                move
                for one in stored
                for move in end_moves(one.kernels, Reason.FORCE_TERMINATED, {"by": actor.email})
            ]
            rows = [(one.session, one.kernels) for one in stored]
            await write_moves(conn, rows, moves, self._clock.now())

        await self._database.transact(work)
