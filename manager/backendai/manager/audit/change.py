"""One change by one actor: its transaction, and what is told when it is committed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.logs import context_field, get_logger
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor

log = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that a use case needs to change rows. `owner` is who `actor` acts as."""

    connection: AsyncConnection
    actor: Actor
    owner: Actor
    action: Action
    at: datetime
    request_id: str = ""
    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list, compare=False)

    def log_when_done(self, event: str, **fields: object) -> None:
        """Warn of `event` in the log once this is committed, with who did it."""
        self.lines.append((event, fields))


class Changes:
    """Runs use cases, each in one transaction. `settled` is called after each commit."""

    def __init__(self, database: Database, clock: Clock, settled: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._settled = settled

    async def run(
        self,
        actor: Actor,
        action: Action,
        work: Callable[[Change], Awaitable[T]],
        *,
        owner: Actor | None = None,
    ) -> T:
        """What `work` gives once it is committed. Whether `actor` may was decided before.

        Raises StoreUnavailable and whatever `work` raises; nothing is kept then.
        """
        request_id = str(context_field("request_id") or "")

        async def attempt(connection: AsyncConnection) -> tuple[T, Change]:
            now = self._clock.now()
            change = Change(connection, actor, owner or actor, action, now, request_id)
            return await work(change), change

        try:
            done, change = await self._database.transact(attempt)
        finally:
            # Also when it failed: a lost answer to COMMIT may have been a commit.
            self._settled()
        for event, fields in change.lines:
            log.warning(event, by=actor.email, **fields)
        log.info("change.done", action=action.name, by=actor.email)
        return done
