"""What is around every route: the door, headers that keep browsers careful, and origins."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from backendai.common.faults import MethodNotAllowed
from backendai.common.http import REQUEST_ID_HEADER, Handler
from backendai.common.web_logins import TOKEN_HEADER

from .visitor import GUARDED, VISITOR, Door

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
}
# What users and managers wrote is never run as a page of ours.
_INERT: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
_HSTS: Final = "max-age=31536000"
_ASKED_HEADERS: Final = (
    f"Content-Type, {TOKEN_HEADER}, X-BackendAI-Version, X-BackendAI-Date, X-BackendAI-Domain, "
    "X-BackendAI-Encoded, X-BackendAI-Client-Token, Last-Event-ID, Range"
)
_PREFLIGHT_SECONDS: Final = "600"


def make_guard(door: Door) -> Middleware:
    """Lets in what the door admits, and answers browsers that ask whether a page may ask."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[VISITOR] = door.admit(request)
        if request.method == "OPTIONS" and door.is_allowed(request.headers.get("Origin")):
            return web.Response(status=204)
        if request.method not in METHODS:
            fault = MethodNotAllowed()
            raise fault
        return await handler(request)

    return guard


def make_headers(
    door: Door,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        for name, text in _HEADERS.items():
            headers.setdefault(name, text)
        visitor = request.get(VISITOR)
        if visitor is not None and visitor.scheme == "https":
            headers["Strict-Transport-Security"] = _HSTS
        if request.path.startswith(GUARDED):
            headers.setdefault("Content-Security-Policy", _INERT)
            headers.setdefault("Cache-Control", "no-store")
            _set_origin(request, response, door)

    return set_headers


def _set_origin(request: web.Request, response: web.StreamResponse, door: Door) -> None:
    origin = request.headers.get("Origin")
    response.headers.add("Vary", "Origin")
    if origin is None or not door.is_allowed(origin):
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = f"{TOKEN_HEADER}, {REQUEST_ID_HEADER}"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
        response.headers["Access-Control-Allow-Headers"] = _ASKED_HEADERS
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
