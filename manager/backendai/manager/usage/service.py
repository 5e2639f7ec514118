"""Bills of projects over a span, and curves of the last thirty days."""

import asyncio
import uuid
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import ProjectNotFound
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor

from . import store
from .model import ProjectUse, Span, sum_by_project, taken
from .series import Point, draw, span_of_month


class Usage:
    """Sums are worked out in a thread: a long history must not hold up other requests."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_projects(
        self, actor: Actor, span: Span, project_ids: Sequence[uuid.UUID] | None
    ) -> list[ProjectUse]:
        """The projects, of these or of all that `actor` manages or administers, that held
        something; for superadmins also those that are gone."""
        async with self._database.begin() as conn:
            ours = await _list_ours(conn, actor)
            if ours is not None:
                wanted = ours if project_ids is None else ours.intersection(project_ids)
                project_ids = sorted(wanted)
            held = await store.load_held(conn, span, project_ids=project_ids)
        return await asyncio.to_thread(sum_by_project, held, span, self._clock.now())

    async def list_project(
        self, actor: Actor, span: Span, project_id: uuid.UUID
    ) -> list[ProjectUse]:
        """What one project used, empty when that was nothing. Raises ProjectNotFound."""
        found = await self.list_projects(actor, span, [project_id])
        if found:
            return found
        async with self._database.begin() as conn:
            ours = await _list_ours(conn, actor)
            if not (await store.is_known(conn, project_id) if ours is None else project_id in ours):
                raise ProjectNotFound(str(project_id))
        return []

    async def draw_own(self, actor: Actor) -> list[Point]:
        """Curves of the sessions of one user."""
        return await self._draw(actor.user_id)

    async def draw_all(self) -> list[Point]:
        """Curves of all sessions."""
        return await self._draw(None)

    async def _draw(self, user_id: uuid.UUID | None) -> list[Point]:
        span = span_of_month(self._clock.now())
        async with self._database.begin() as conn:
            held = await store.load_held(conn, span, user_id=user_id)
        return await asyncio.to_thread(draw, taken(held), span)


async def _list_ours(conn: AsyncConnection, actor: Actor) -> set[uuid.UUID] | None:
    """The projects whose use `actor` may see; None for all, also those that are gone."""
    if actor.is_superadmin:
        return None
    if actor.is_domain_admin:
        return await store.list_projects_of(conn, actor.domain)
    return set(actor.administers)
