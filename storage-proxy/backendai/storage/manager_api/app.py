"""The application that managers talk to: nothing but the status without their secret."""

import hmac
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from backendai.common.access_log import AccessLog
from backendai.common.faults import InvalidParams, to_problem
from backendai.common.health import HEALTH_PATHS, health_handlers
from backendai.common.http import Handler, json_response, make_app, problem_response
from backendai.common.loops import LoopHealth
from backendai.common.storage_faults import PathFault, StorageForbidden, StorageInvalidParams

from ..emptying import TrashEmptiers
from ..grants import Grants
from ..settings import ManagerListener
from ..version import VERSION
from ..volumes.load import Volumes
from .files import file_routes
from .folders import folder_routes, scope_routes
from .tokens import token_routes
from .volumes import volume_routes

SECRET_HEADER: Final = "X-BackendAI-Storage-Auth-Token"  # noqa: S105
OPEN_PATHS: Final = frozenset({"/", "/status", *HEALTH_PATHS})


@dataclass(frozen=True, slots=True)
class ManagerServices:
    """What the handlers of this API work with."""

    volumes: Volumes
    emptiers: TrashEmptiers
    grants: Grants
    health: LoopHealth


def make_manager_app(
    listener: ManagerListener, services: ManagerServices, access_log: AccessLog
) -> web.Application:
    app = make_app(
        middlewares=[guard(listener.secret)],
        body_bytes_max=listener.body_bytes_max,
        access_log=access_log,
    )
    app.router.add_get("/", show_status)
    app.router.add_get("/status", show_status)
    for path, handler in health_handlers(services.health).items():
        app.router.add_get(path, handler)
    app.router.add_routes(
        [
            *volume_routes(services.volumes),
            *scope_routes(services.volumes),
            *folder_routes(services.volumes, services.emptiers),
            *file_routes(services.volumes, services.emptiers),
            *token_routes(services.volumes, services.grants),
        ]
    )
    return app


async def show_status(_request: web.Request) -> web.Response:
    return json_response({"status": "ok", "type": "manager-facing", "storage-proxy": VERSION})


def guard(secret: str) -> Middleware:
    """Lets in who knows the secret, and gives faults the form that this API has for them."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        is_known = hmac.compare_digest(given, secret.encode())
        if not is_known and request.path not in OPEN_PATHS:
            raise StorageForbidden(f"the header {SECRET_HEADER} is missing or wrong")
        try:
            return await handler(request)
        except InvalidParams as fault:
            raise StorageInvalidParams(fault.detail, fault.facts) from None
        except PathFault as fault:
            return render_path_fault(fault)

    return let_in


def render_path_fault(fault: PathFault) -> web.Response:
    """A problem, with `errno` and `paths` beside its `msg`, where other managers look for them."""
    response = problem_response(fault)
    facts = {key: fault.facts[key] for key in ("errno", "paths") if key in fault.facts}
    response.body = msgspec.json.encode(to_problem(fault) | facts)
    return response
