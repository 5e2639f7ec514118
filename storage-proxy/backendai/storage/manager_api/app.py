"""The application that managers talk to: nothing but the status without their secret."""

import hmac
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock
from backendai.common.faults import InvalidParams
from backendai.common.health import health_handler
from backendai.common.http import Handler, json_response, make_app
from backendai.common.loops import LoopHealth
from backendai.common.storage_faults import StorageForbidden, StorageInvalidParams

from ..settings import StorageSettings
from ..version import VERSION
from ..volumes.load import Volumes
from .volumes import volume_routes

SECRET_HEADER: Final = "X-BackendAI-Storage-Auth-Token"  # noqa: S105
OPEN_PATHS: Final = frozenset({"/", "/status", "/health"})


def make_manager_app(
    settings: StorageSettings,
    volumes: Volumes,
    health: LoopHealth,
    clock: Clock,
    access_log: AccessLog,
) -> web.Application:
    listener = settings.api.manager
    app = make_app(
        middlewares=[guard(listener.secret)],
        body_bytes_max=listener.body_bytes_max,
        access_log=access_log,
    )
    app.router.add_get("/", show_status)
    app.router.add_get("/status", show_status)
    app.router.add_get("/health", health_handler(health))
    app.router.add_routes(volume_routes(volumes))
    return app


async def show_status(_request: web.Request) -> web.Response:
    return json_response({"status": "ok", "type": "manager-facing", "storage-proxy": VERSION})


def guard(secret: str) -> Middleware:
    """Lets in who knows the secret; parameters that are wrong are this API's own fault."""

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

    return let_in
