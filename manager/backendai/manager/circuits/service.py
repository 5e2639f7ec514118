"""Listing and closing circuits: own ones, and those of whom one administers."""

import uuid
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.manager.apps.model import Site
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, Scope, widest_scope
from backendai.manager.idle.store import note_activity
from backendai.manager.sessions.store import get_session

from . import store
from .model import Circuit

# App proxies tell of each circuit once a minute, and a look may be missed.
LOOK_SECONDS: Final = 30.0
_LOOK_BACK: Final = timedelta(minutes=3)
_BY_OWNER: Final = "closed by its owner"
_WITH_APP: Final = "the app was stopped"


class Circuits:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_live(self, actor: Actor, session_id: uuid.UUID | None = None) -> list[Circuit]:
        """Those that lead somewhere now, the newest first."""
        scope = widest_scope(actor)
        return await self._database.read(lambda conn: store.list_live(conn, scope, session_id))

    async def close(self, actor: Actor, circuit_id: uuid.UUID) -> None:
        """Whoever is on it is cut off within seconds. Raises CircuitNotFound."""
        scope = widest_scope(actor)
        await self._database.transact(
            lambda conn: store.close_one(conn, scope, circuit_id, _BY_OWNER)
        )

    async def close_of_session(self, scope: Scope, reference: str) -> int:
        """All that lead into a session, whoever opened them. Raises SessionNotFound."""

        async def work(conn: AsyncConnection) -> int:
            session = await get_session(conn, scope, reference)
            return await store.close_of_session(conn, session.id, _BY_OWNER)

        return await self._database.transact(work)

    async def close_of_app(self, site: Site, app: str) -> int:
        return await self._database.transact(
            lambda conn: store.close_of_session(conn, site.session_id, _WITH_APP, app)
        )

    async def note_uses(self) -> None:
        """Who uses a session through an app proxy keeps it from being idle."""
        since = self._clock.now() - _LOOK_BACK
        used = await self._database.read(lambda conn: store.list_uses(conn, since))
        if used:
            latest = {session_id: (at, "app") for session_id, at in used.items()}
            await self._database.put(lambda conn: note_activity(conn, latest))
