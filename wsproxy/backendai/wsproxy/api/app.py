"""The application that managers and web pages ask for circuits."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from backendai.common.access_log import AccessLog
from backendai.common.health import health_handlers
from backendai.common.http import Handler, json_response, make_app
from backendai.common.loops import LoopHealth

from ..addresses import Addresses
from ..version import VERSION

ANY_ORIGIN: Final = "*"
BODY_BYTES_MAX: Final = 64 << 10
_PREFLIGHT_SECONDS: Final = 86400
_ALLOWED_HEADERS: Final = "Accept, Authorization, Content-Type, X-BackendAI-SessionID"


def make_api(
    routes: Sequence[web.RouteDef],
    addresses: Addresses,
    allowed_origins: Sequence[str],
    health: LoopHealth,
    access_log: AccessLog,
) -> web.Application:
    app = make_app(
        middlewares=[make_preflight()], body_bytes_max=BODY_BYTES_MAX, access_log=access_log
    )
    app.on_response_prepare.append(make_cors(frozenset(allowed_origins)))
    looks = [web.get(path, tell) for path, tell in health_handlers(health).items()]
    own = [web.get("/", show_version), *looks]
    app.router.add_routes([*own, *routes])
    prefix = addresses.path_prefix
    if prefix:
        # A TLS proxy in front may pass its prefix on, or keep it to itself.
        app.router.add_routes(
            [web.route(one.method, prefix + one.path, one.handler) for one in [*own, *routes]]
        )
    return app


async def show_version(_request: web.Request) -> web.Response:
    return json_response({"wsproxy": VERSION, "api_version": "v2"})


def make_preflight() -> Middleware:
    """Browsers ask beforehand whether they may; the headers that answer them come with CORS."""

    @web.middleware
    async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204)
        return await handler(request)

    return preflight


def make_cors(
    allowed: frozenset[str],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Tells browsers which pages may read answers. Tokens are in addresses, never in cookies: where
    any page may ask, it gains nothing by it.
    """

    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get("Origin")
        response.headers.add("Vary", "Origin")
        if origin is None or not (ANY_ORIGIN in allowed or origin in allowed):
            return
        # With credentials the origin has to be named. None of ours are cookies.
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, PUT, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)

    return set_headers
