"""What is around every route for clients: origins, and problems with the headers of their kind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from backendai.common.faults import BadRequest, Fault, InvalidParams
from backendai.common.http import Handler, problem_response
from backendai.common.storage_faults import StorageInvalidParams
from backendai.common.upload_faults import RangeRefused, UploadFault, UploadVersionRefused

from ..uploads.headers import VERSION

ANY_ORIGIN: Final = "*"
_ALLOWED_METHODS: Final = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS: Final = (
    "Authorization, Content-Type, If-None-Match, If-Range, Range, Tus-Resumable, "
    "Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override"
)
_EXPOSED_HEADERS: Final = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location, "
    "Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, "
    "Upload-Expires, Upload-Length, Upload-Offset, X-Request-Id"
)
_PREFLIGHT_SECONDS: Final = 86400


def make_problems() -> Middleware:
    """Faults as problems of this API, with the headers that clients of the protocols look at."""

    @web.middleware
    async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Fault as fault:
            own = _own(fault)
            return problem_response(own, _headers_of(own))

    return problems


def make_cors(
    allowed_origins: str,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Tells browsers which web pages may read answers. Origins are compared as they are written."""
    allowed = frozenset(part.strip() for part in allowed_origins.split(",") if part.strip())

    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get("Origin")
        if ANY_ORIGIN not in allowed:
            response.headers.add("Vary", "Origin")
            if origin not in allowed:
                return
        if origin is None:
            return
        response.headers["Access-Control-Allow-Origin"] = (
            ANY_ORIGIN if ANY_ORIGIN in allowed else origin
        )
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = _ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)

    return set_headers


def _own(fault: Fault) -> Fault:
    if type(fault) in (BadRequest, InvalidParams):
        return StorageInvalidParams(fault.detail, fault.facts)
    return fault


def _headers_of(fault: Fault) -> Mapping[str, str]:
    match fault:
        case UploadFault():
            shown = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}
            offset = fault.facts.get("offset")
            return shown if offset is None else shown | {"Upload-Offset": str(offset)}
        case UploadVersionRefused():
            return {"Tus-Version": VERSION}
        case RangeRefused():
            return {"Content-Range": f"bytes */{fault.facts['size']}"}
    return {}
