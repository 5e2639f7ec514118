"""Routes, each with the action it does: the one list from which the application is made."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import RateLimited, UnknownVersion
from backendai.common.http import Handler
from backendai.common.params import refuse_odd_text
from backendai.common.signing import VERSION_HEADERS

from .actor import Access, Action, Actor, authorize, limit
from .identity import Gatekeeper
from .limiter import ANONYMOUS, Allowance

ACTOR: Final = web.RequestKey("actor", Actor)
_ALLOWANCE: Final = web.RequestKey("allowance", Allowance)
# Made once, for answers that cost next to nothing else.
_ANONYMOUS_HEADERS: Final = ANONYMOUS.headers()
_VERSION: Final = re.compile(r"v\d{1,4}\.\d{8}")


JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """`params` is what the handler checks parameters with; None where it reads none. `media` is the
    type of the body; where that is not JSON, the parameters come in the query."""

    method: str
    path: str
    handler: Handler
    action: Action
    # Quoted: trafarets take `|` themselves.
    params: "t.Trafaret | None" = None
    media: str = JSON


def add_routes(
    app: web.Application,
    routes: Iterable[Route],
    gatekeeper: Gatekeeper,
    refuse_frozen: Callable[[], None],
) -> None:
    """Route requests to handlers, each behind the gate. `app` gets headers for every answer.

    `refuse_frozen` raises while nothing new may begin.
    """
    app.on_response_prepare.append(_set_allowance)
    for route in routes:
        guarded = _guard(route, gatekeeper, refuse_frozen)
        app.router.add_route(route.method, route.path, guarded)


def _guard(route: Route, gatekeeper: Gatekeeper, refuse_frozen: Callable[[], None]) -> Handler:
    """The handler behind the checks that its action needs."""
    action, handler = route.action, route.handler
    is_open = action.access is Access.OPEN

    async def guarded(request: web.Request) -> web.StreamResponse:
        _check_version(request)
        if not is_open:
            try:
                actor, request[_ALLOWANCE] = await gatekeeper.identify(request)
            except RateLimited as fault:
                request[_ALLOWANCE] = Allowance(fault.facts["limit"], 0)
                raise
            authorize(actor, action)
            request[ACTOR] = limit(actor, action)
        for text in request.match_info.values():
            refuse_odd_text(text)
        if action.begins:
            refuse_frozen()
        return await handler(request)

    return guarded


def _check_version(request: web.Request) -> None:
    for name in VERSION_HEADERS:
        given = request.headers.get(name)
        if given is not None and not _VERSION.fullmatch(given):
            raise UnknownVersion


async def _set_allowance(request: web.Request, response: web.StreamResponse) -> None:
    allowance = request.get(_ALLOWANCE)
    response.headers.update(allowance.headers() if allowance else _ANONYMOUS_HEADERS)
