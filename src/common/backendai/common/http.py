"""The edge of an HTTP daemon: what every request passes coming in and every answer going out.

Handlers return responses and raise faults; here requests get an id, and faults become problem+json.
An exception that nobody expected is logged once, whole, and tells nothing but the request id.
"""

import asyncio
import logging
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import ClientResponse, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from .access_log import QUIET_PATHS, AccessLog
from .faults import (
    PROBLEM_CONTENT_TYPE,
    BadRequest,
    BodyTooLarge,
    Fault,
    InternalError,
    Kind,
    MethodNotAllowed,
    ServerMisconfigured,
    Unavailable,
    UrlNotFound,
    to_problem,
)
from .handover import HANDOVER, Handover
from .logs import get_logger, log_context
from .metrics import route_of
from .settings.checks import HostPort
from .spans import TRACEPARENT_HEADER, Span, SpanKind
from .tracing import is_traced, no_span, span

log = get_logger(__name__)

REQUEST_ID_HEADER: Final = "X-Request-Id"
SERVER_NAME: Final = "BackendAI"
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
READ_AHEAD_BYTES: Final = 64 * 1024
RETRY_AFTER_SECONDS: Final = 1
REQUEST_ID: Final = web.RequestKey("request_id", str)
# All requests wait while a daemon is restarted, so nobody's slowness may prolong it.
LAST_ANSWER_SECONDS: Final = 0.2
_STAYS: Final = web.AppKey("stays", set["Stay"])
_REQUEST_ID_GIVEN: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_NOT_IN_REASON: Final = re.compile(r"[^\x20-\x7e]")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    *,
    middlewares: Sequence[Middleware] = (),
    unavailable: tuple[type[Exception], ...] = (),
    body_bytes_max: int = BODY_BYTES_MAX,
    access_log: AccessLog | None = None,
) -> web.Application:
    """An application with the edge around it. `middlewares` run inside the edge, in their order.

    `unavailable` are the exceptions by which stores say that they are away: answered with 503.
    """
    edge = make_edge((TimeoutError, *unavailable), access_log)
    app = web.Application(client_max_size=body_bytes_max, middlewares=[edge, *middlewares])
    app.on_response_prepare.append(_set_headers)
    app[_STAYS] = set()
    app.on_shutdown.append(_end_stays)
    return app


class Stay:
    """An answer that lasts as long as its client; `is_over` once its server has ended it."""

    def __init__(self) -> None:
        self.is_over = False
        self._task = asyncio.current_task()

    def end(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    def is_ended_alone(self) -> bool:
        """Takes the cancellation back, and tells whether there was no other."""
        return self.is_over and self._task is not None and self._task.uncancel() == 0


@contextmanager
def lasting(request: web.Request) -> Iterator[Stay]:
    """Around what has no end of its own, so that it holds up no restart: when the server stops, it
    is cancelled inside, and goes on behind with `is_over`. For requests to what `make_app` made."""
    stays, stay = request.app[_STAYS], Stay()
    stays.add(stay)
    try:
        yield stay
    except asyncio.CancelledError:
        if not stay.is_ended_alone():
            raise
    finally:
        stays.discard(stay)


async def _end_stays(app: web.Application) -> None:
    stays: set[Stay] = app[_STAYS]
    for stay in tuple(stays):
        stay.end()


def make_edge(
    unavailable: tuple[type[Exception], ...] = (TimeoutError,),
    access_log: AccessLog | None = None,
) -> Middleware:
    """The outermost middleware: request id, faults to problems, access log."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id_of(request)
        request[REQUEST_ID] = request_id
        started_at = asyncio.get_running_loop().time() if access_log is not None else 0.0
        with _span_of(request, request_id) as here, log_context(request_id=request_id):
            response = await _answer(request, handler, unavailable)
            _note_status(here, response.status)
        if access_log is not None:
            elapsed = asyncio.get_running_loop().time() - started_at
            access_log.note(request, response.status, elapsed, request_id, here.trace_id)
        return response

    return edge


def _span_of(request: web.Request, request_id: str) -> AbstractContextManager[Span]:
    """Named by the route: an address may hold ids, and tokens in its query."""
    if not is_traced() or request.path in QUIET_PATHS:
        return no_span()
    method, route = route_of(request)
    facts = {"http.request.method": method, "http.route": route, "request_id": request_id}
    parent = request.headers.get(TRACEPARENT_HEADER, "")
    return span(f"{method} {route}", SpanKind.SERVER, facts, parent=parent)


def _note_status(here: Span, status: int) -> None:
    here.note({"http.response.status_code": status})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        here.fail(str(status))


async def _answer(
    request: web.Request, handler: Handler, unavailable: tuple[type[Exception], ...]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Fault as fault:
        if fault.__cause__ is not None:
            log.info("http.fault", code=fault.code, cause=repr(fault.__cause__))
        return problem_response(fault)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _of_http_exception(request, error)
    except unavailable as error:
        log.warning("http.store_unavailable", path=request.path, cause=repr(error))
        return problem_response(Unavailable("A service behind this one did not answer."))
    except web.RequestPayloadError:
        # Its encoding is not what its headers say.
        return problem_response(BadRequest("The body cannot be read as it is encoded."))
    except (ConnectionResetError, asyncio.CancelledError):
        raise
    except Exception as error:
        log.crash("http.handler_failed", error, method=request.method, path=request.path)
        return problem_response(InternalError("", {"requestId": request[REQUEST_ID]}))


def problem_response(fault: Fault, headers: Mapping[str, str] | None = None) -> web.Response:
    """`fault` as an answer; faults that may pass say when to ask again."""
    made = dict(headers or {})
    if fault.kind.retryable:
        made["Retry-After"] = str(fault.facts.get("retryAfterSeconds", RETRY_AFTER_SECONDS))
    return web.Response(
        status=fault.http_status,
        reason=_NOT_IN_REASON.sub(" ", fault.title)[:200],
        body=msgspec.json.encode(to_problem(fault)),
        content_type=PROBLEM_CONTENT_TYPE,
        headers=made,
    )


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`value` as JSON: plain values, dataclasses, structs, UUIDs, times, decimals, enums."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=headers,
    )


async def read_at_most(answer: ClientResponse, bytes_max: int) -> bytes:
    """The body of what another server answers, cut behind so many bytes: one read gives what has
    come so far."""
    body = b""
    while len(body) < bytes_max and (piece := await answer.content.read(bytes_max - len(body))):
        body += piece
    return body


def forwarded_for(request: web.Request) -> list[str]:
    """What X-Forwarded-For says, the nearest first; to be believed as far as proxies are ours."""
    named = request.headers.getall("X-Forwarded-For", [])
    return [hop.strip() for header in reversed(named) for hop in reversed(header.split(","))]


def raw_target(request: web.Request) -> str:
    """The request target exactly as it was sent: what a signature covers."""
    return request.raw_path


@asynccontextmanager
async def serve(
    app: web.Application,
    address: HostPort,
    *,
    ssl_context: ssl.SSLContext | None = None,
    shutdown_seconds: float = 5.0,
    read_ahead_bytes: int = READ_AHEAD_BYTES,
    handover: Handover = HANDOVER,
) -> AsyncIterator[HostPort]:
    """Serve `app` while the context is open; gives the real address, as port 0 takes a free one.

    `read_ahead_bytes` is how much of a body is taken from a connection before somebody reads it.
    Raises ServerMisconfigured when the address cannot be listened at.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_seconds,
        logger=_framework_logger(),
        read_bufsize=read_ahead_bytes,
    )
    await runner.setup()
    try:
        try:
            for opened in handover.listen(address):
                await web.SockSite(runner, opened, ssl_context=ssl_context).start()
        except OSError as error:
            raise ServerMisconfigured(f"cannot listen at {address}: {error.strerror}") from error
        host, port = runner.addresses[0][:2]
        yield HostPort(host, port)
    finally:
        await runner.cleanup()


async def close_socket(
    socket: web.WebSocketResponse, code: int, reason: bytes = b"", *, answer_seconds: float
) -> None:
    """Tell the client that it is over and why; its answer is waited for no longer than this."""
    try:
        async with asyncio.timeout(answer_seconds):
            await socket.close(code=code, message=reason)
    except TimeoutError:
        return
    except asyncio.CancelledError:
        # Also of one who waited with it until the client reads: aiohttp has them wait as one.
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise


def _framework_logger() -> logging.Logger:
    logger = logging.getLogger("aiohttp.server")
    if not any(isinstance(known, _BriefRefusals) for known in logger.filters):
        logger.addFilter(_BriefRefusals())
    return logger


class _BriefRefusals(logging.Filter):
    """Bytes that are no HTTP come from anywhere at any rate: one line each, without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            record.msg, record.args = "http.not_understood", ()
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = None
            message = error.message if isinstance(error, HttpProcessingError) else "encoded wrongly"
            record.fields = {"why": message.splitlines()[0][:100]}
        return True


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
    request_id = request.get(REQUEST_ID)
    if request_id is not None:
        response.headers[REQUEST_ID_HEADER] = request_id


def _request_id_of(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID_GIVEN.fullmatch(given) else os.urandom(16).hex()


def _of_http_exception(request: web.Request, error: web.HTTPException) -> web.Response:
    """The framework's own refusals, as problems."""
    match error:
        case web.HTTPNotFound():
            return problem_response(UrlNotFound("", {"path": request.path}))
        case web.HTTPMethodNotAllowed():
            allowed = ",".join(sorted(error.allowed_methods))
            return problem_response(MethodNotAllowed(), {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return problem_response(BodyTooLarge(error.text or ""))
    fault: Fault = BadRequest(error.reason) if error.status < 500 else Unavailable(error.reason)
    if fault.kind is Kind.INVALID:
        fault.status = error.status
    return problem_response(fault)
