"""Keeping, showing and clearing error logs: own ones, and those of whom one administers."""

import uuid

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.ids import IdSource
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, widest_scope

from . import store
from .model import NewErrorLog, Page


class ErrorLogs:
    def __init__(self, database: Database, ids: IdSource) -> None:
        self._database = database
        self._ids = ids

    async def add(self, actor: Actor, new: NewErrorLog) -> uuid.UUID:
        log_id = self._ids.uuid()
        await self._database.transact(
            lambda conn: store.insert_log(conn, log_id, actor.user_id, new)
        )
        return log_id

    async def page(self, actor: Actor, *, size: int, number: int, is_marking: bool) -> Page:
        """One page; with `is_marking` what is on it counts as read afterwards."""

        async def work(conn: AsyncConnection) -> Page:
            page = await store.load_page(conn, widest_scope(actor), size, number)
            if is_marking:
                await store.mark_read(conn, page)
            return page

        return await self._database.transact(work)

    async def clear(self, actor: Actor, log_id: uuid.UUID) -> None:
        """Raises ErrorLogNotFound."""
        scope = widest_scope(actor)
        await self._database.transact(lambda conn: store.clear_log(conn, scope, log_id))
