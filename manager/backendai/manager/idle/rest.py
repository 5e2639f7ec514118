"""REST of idleness: more time for a session that somebody still needs."""

from typing import Final

from aiohttp import web

from backendai.common.http import json_response
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import Route
from backendai.manager.sessions.rest import owner_keys, read_scope
from backendai.manager.sessions.service import Sessions

from .service import Idleness

EXTEND: Final = Action("session.extend", writes=True)
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, idleness: Idleness) -> list[Route]:
    handlers = _Handlers(sessions, idleness)
    return [Route("POST", "/session/{session}/extend", handlers.extend, EXTEND, _OWNER)]


class _Handlers:
    def __init__(self, sessions: Sessions, idleness: Idleness) -> None:
        self._sessions = sessions
        self._idleness = idleness

    async def extend(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        return json_response({"idleChecks": await self._idleness.extend(scope, reference)})
