"""The loop that tells the addresses of sessions what became of these, each event in its turn.

It reads how far each address has been told, so nothing is lost with a manager; what was told and
not noted is told again. One manager at a time does it, by a lease.
"""

import asyncio
from datetime import timedelta
from typing import Final

from backendai.common.clock import Clock
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, Wake, supervise
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.store import CoreStore

from . import store
from .model import News, body_of, pause_after
from .post import NotTold, Post

log = get_logger(__name__)

LOOK_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 600.0
POSTS_AT_ONCE: Final = 32
LEASE_NAME: Final = "callbacks"
# A quarter of it is left at least when posting begins, which is how long that may take.
LEASE_SECONDS: Final = 20.0


class Callbacks:
    """`holder` names this manager among others."""

    def __init__(
        self, database: Database, core_store: CoreStore, post: Post, clock: Clock, holder: str
    ) -> None:
        self._database = database
        self._post = post
        self._clock = clock
        self._turn = Lease(core_store, clock, LEASE_NAME, holder, LEASE_SECONDS)
        self._wake = Wake()

    async def run(self, health: LoopHealth) -> None:
        """Until cancelled."""
        await supervise(
            "callbacks",
            self.step,
            period_seconds=LOOK_SECONDS,
            clock=self._clock,
            wake=self._wake,
            health=health,
        )

    async def step(self) -> None:
        """Tell what is due, one event of each session. Raises StoreUnavailable."""
        if not await self._turn.is_held():
            return
        now = self._clock.now()
        due = await self._database.read(lambda conn: store.load_news(conn, now, POSTS_AT_ONCE))
        if not due:
            return
        async with asyncio.TaskGroup() as tasks:
            posts = [tasks.create_task(self._tell(news), name="callback") for news in due]
        failures = [task.result() for task in posts]
        for news, why in zip(due, failures, strict=True):
            await self._note(news, why)
        if "" in failures:
            # There may be more to tell of the same sessions.
            self._wake.hint()

    async def forget(self) -> None:
        """Drop what was kept of sessions of which all is told."""
        await self._database.put(store.forget_told)

    async def _tell(self, news: News) -> str:
        """Why it could not be told; empty when it was."""
        try:
            await self._post(news.url, body_of(news))
        except NotTold as problem:
            return str(problem)
        return ""

    async def _note(self, news: News, why: str) -> None:
        now, attempts = self._clock.now(), news.attempts + 1
        pause = pause_after(attempts) if why else None
        if pause is not None:
            later = now + timedelta(seconds=pause)
            await self._database.put(lambda conn: store.note_failed(conn, news, later))
            return
        if why:
            log.warning(
                "callback.given_up",
                session=str(news.session_id),
                event_name=news.event.value,
                attempts=attempts,
                why=why,
            )
        await self._database.put(lambda conn: store.note_told(conn, news, now))
