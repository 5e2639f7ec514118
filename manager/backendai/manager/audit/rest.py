"""REST of the audit log: superadmins read all of it, domain admins what concerns their domain."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import Wanted
from .render import entry_object
from .store import list_entries

PAGE_MAX: Final = 100
OFFSET_MAX: Final = 1_000_000_000
READ: Final = Action("audit.read", Access.ADMIN)


def parse_time(text: str) -> datetime:
    """A time as ISO 8601; without an offset it is UTC. Raises ValueError. Pure."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _time(text: Any) -> Any:
    try:
        return parse_time(str(text))
    except ValueError:
        return t.DataError("write a time like 2026-01-31T12:00:00+00:00")


_WORDS: Final = ("action", "target_kind", "target_id", "email", "access_key", "domain")
_LIST: Final = t.Dict(
    t.Key("limit", optional=True, default=20, trafaret=t.ToInt(gte=1, lte=PAGE_MAX)),
    t.Key("offset", optional=True, default=0, trafaret=t.ToInt(gte=0, lte=OFFSET_MAX)),
    *(t.Key(name, optional=True, trafaret=t.String(max_length=256)) for name in _WORDS),
    t.Key("request_id", optional=True, trafaret=t.String(max_length=64)),
    t.Key("since", optional=True, trafaret=t.Call(_time)),
    t.Key("until", optional=True, trafaret=t.Call(_time)),
)


def routes(database: Database) -> list[Route]:
    handlers = _Handlers(database)
    return [Route("GET", "/audit", handlers.list_entries, READ, _LIST)]


class _Handlers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(self, request: web.Request) -> web.Response:
        params = await read_params(request, _LIST)
        limit, offset = params.pop("limit"), params.pop("offset")
        wanted, actor = Wanted(**params), request[ACTOR]
        if not actor.is_superadmin:
            if wanted.domain not in (None, actor.domain):
                return json_response({"items": [], "total_count": 0})
            wanted = replace(wanted, domain=actor.domain)
        entries, count = await self._database.read(
            lambda connection: list_entries(connection, wanted, limit, offset)
        )
        items = [entry_object(entry) for entry in entries]
        return json_response({"items": items, "total_count": count})
