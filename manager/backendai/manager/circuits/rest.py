"""REST of circuits."""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import CircuitNotFound
from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.sessions import actions
from backendai.manager.sessions.rest import owner_keys, read_scope
from backendai.manager.sessions.service import Sessions

from .model import Circuit
from .service import Circuits

READ: Final = Action("circuit.read")
CLOSE: Final = Action("circuit.close", writes=True)

_LIST: Final = t.Dict(
    t.Key("sessionId", optional=True, trafaret=t.String() & checked(uuid.UUID)),
)
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, circuits: Circuits) -> list[Route]:
    handlers = _Handlers(sessions, circuits)
    return [
        Route("GET", "/circuits", handlers.list_live, READ, _LIST),
        Route("DELETE", "/circuits/{circuit}", handlers.close, CLOSE),
        Route(
            "DELETE",
            "/session/{session}/circuits",
            handlers.close_of_session,
            actions.USE_APPS,
            _OWNER,
        ),
    ]


class _Handlers:
    def __init__(self, sessions: Sessions, circuits: Circuits) -> None:
        self._sessions = sessions
        self._circuits = circuits

    async def list_live(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _LIST)
        found = await self._circuits.list_live(request[ACTOR], params.get("sessionId"))
        return json_response({"circuits": [_shown(one) for one in found]})

    async def close(self, request: web.Request) -> web.Response:
        try:
            circuit_id = uuid.UUID(request.match_info["circuit"])
        except ValueError:
            raise CircuitNotFound from None
        await self._circuits.close(request[ACTOR], circuit_id)
        return web.Response(status=204)

    async def close_of_session(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        count = await self._circuits.close_of_session(scope, reference)
        return json_response({"closed": count})


def _shown(circuit: Circuit) -> dict[str, Any]:
    used_at = circuit.used_at
    return {
        "id": str(circuit.id),
        "session_id": str(circuit.session_id),
        "app": circuit.app,
        "port": circuit.port,
        "protocol": circuit.protocol,
        "user_id": str(circuit.owner),
        "access_key": circuit.access_key,
        "open_to_public": circuit.is_public,
        "allowed_client_ips": circuit.allowed_ips,
        "proxy": circuit.proxy,
        "subdomain": circuit.subdomain,
        "public_port": circuit.public_port,
        "created_at": circuit.created_at.isoformat(),
        "expires_at": circuit.expires_at.isoformat(),
        "used_at": used_at.isoformat() if used_at else None,
    }
