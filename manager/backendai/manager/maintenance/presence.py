"""Which managers live: each says so every few seconds, in one row of its own."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import StoreUnavailable
from backendai.common.logs import get_logger
from backendai.manager.config.rest import MANAGER_VERSION
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.settings import ServiceSettings

log = get_logger(__name__)

BEAT_SECONDS: Final = 5.0
# Of managers that beat no more: what they are not shown after, and their rows are not kept for.
LIVE_SECONDS: Final = 4 * BEAT_SECONDS
KEPT_SECONDS: Final = 3600
END_SECONDS: Final = 2.0
PUBLIC_KEY: Final = "rpc_public_key"
_m: Final = t.managers.c


def describe(own: ServiceSettings, public_key: str = "") -> dict[str, Any]:
    """This manager as the status shows it. Nodes that join are told the public key."""
    return {
        "id": own.id,
        "num_proc": 1,
        "service_addr": str(own.service_addr),
        "heartbeat_timeout": own.heartbeat_timeout,
        "ssl_enabled": False,
        "version": MANAGER_VERSION,
        "api_version": [7, "20230615"],
        PUBLIC_KEY: public_key,
    }


class Presence:
    """This manager's row. `holder` is one life of it; `facts` describe it to whoever asks."""

    def __init__(self, database: Database, holder: str, facts: Mapping[str, Any]) -> None:
        self._database = database
        self._holder = holder
        self._facts = dict(facts)

    async def beat(self) -> None:
        """Raises StoreUnavailable."""
        values = {"facts": self._facts, "beat_at": sa.func.now()}
        statement = upsert(t.managers).values(holder=self._holder, **values)
        statement = statement.on_conflict_do_update(index_elements=["holder"], set_=values)
        old = sa.delete(t.managers).where(_m.beat_at < before(KEPT_SECONDS))

        async def work(conn: AsyncConnection) -> None:
            await conn.execute(statement)
            await conn.execute(old)

        await self._database.transact(work)

    async def end(self) -> None:
        """Others see at once that it is gone; without this they do when its time is over."""
        own = sa.delete(t.managers).where(_m.holder == self._holder)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._database.transact(lambda conn: conn.execute(own))
        except (StoreUnavailable, SQLAlchemyError, TimeoutError) as error:
            log.warning("manager.row_kept", cause=repr(error))


async def list_live(conn: AsyncConnection) -> list[dict[str, Any]]:
    """What each manager that lives says of itself, with when it last did: `heartbeat`."""
    found = await conn.execute(
        sa.select(_m.facts, _m.beat_at)
        .where(_m.beat_at >= before(LIVE_SECONDS))
        .order_by(_m.facts["id"].astext, _m.holder)
    )
    return [{**row.facts, "heartbeat": row.beat_at.isoformat()} for row in found]


async def list_public_keys(conn: AsyncConnection) -> tuple[str, ...]:
    """By which the managers that live prove themselves to nodes."""
    told = [facts.get(PUBLIC_KEY, "") for facts in await list_live(conn)]
    return tuple(key for key in told if key)


def before(seconds: float) -> sa.ColumnElement[Any]:
    """So long ago, by the database's clock."""
    return sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
