"""`/func/…`: a request passed on, and its answer passed back, both as they come."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from backendai.common.encoded import decode_body, is_encoded
from backendai.common.faults import StoreUnavailable
from backendai.common.http import REQUEST_ID, json_response, lasting, raw_target
from backendai.common.logs import get_logger
from backendai.common.signing import VERSION_HEADERS
from backendai.common.web_logins import PASSWORD_AT_HEADER

from ..faults import NotLoggedIn
from ..logins.cookies import token_of
from ..logins.model import Login
from ..logins.store import Logins
from ..version import VERSION as OWN_VERSION
from ..visitor import VISITOR
from .own import CHANGE_PASSWORD, OwnRequests
from .sockets import join
from .target import is_open, read_target
from .upstream import VERSION, Outgoing, Upstream, read_whole

log = get_logger(__name__)

SMALL_BYTES: Final = 64 * 1024
STREAM_PREFIX: Final = "/stream/"
SIGN_OUT: Final = "/auth/signout"
_KEPT: Final = "Other logins could not be ended, because the store of logins does not answer"
PASSWORD_WARNING: Final = f"The password was changed. {_KEPT}: end them once it does."
ACCOUNT_WARNING: Final = f"The account was closed. {_KEPT}; they can do nothing any more."
# What else a client says, the manager need not hear.
_EVENTS: Final = "text/event-stream"
_PASSED: Final = (
    "Accept",
    "Accept-Language",
    "Content-Encoding",
    "Last-Event-ID",
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "User-Agent",
    "X-BackendAI-Client-Token",
    "X-BackendAI-Domain",
)
_KEPT_BACK: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-security-policy",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        PASSWORD_AT_HEADER.lower(),
        "x-request-id",
    }
)


class Forwarding:
    """Handlers of everything below /func."""

    def __init__(self, upstream: Upstream, logins: Logins, own: OwnRequests) -> None:
        self._upstream = upstream
        self._logins = logins
        self._own = own

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/func/ping", self.ping),
            web.route("*", "/func", self.forward),
            web.route("*", "/func/{path:.*}", self.forward),
        ]

    async def ping(self, _request: web.Request) -> web.Response:
        return json_response({"version": OWN_VERSION, "details": "Success"})

    async def forward(self, request: web.Request) -> web.StreamResponse:
        target = read_target(raw_target(request))
        token, login = await self._who(request, target)
        if target.startswith(STREAM_PREFIX) and _is_upgrade(request):
            return await join(request, self._upstream, _outgoing(request, target, login))
        outgoing = await _with_body(request, _outgoing(request, target, login))
        if token is None or login is None:
            answer = await self._upstream.ask(outgoing)
        else:
            answer = await self._own.ask(outgoing, token, login)
        async with answer:
            if token is None or login is None or not _has_changed(target, answer.status):
                return await _pass_back(request, answer)
            return await self._end_others(request, answer, token, login)

    async def _who(self, request: web.Request, target: str) -> tuple[str | None, Login | None]:
        """Raises NotLoggedIn where somebody has to be."""
        if is_open(target) or (target in ("/", "/?") and request.method in ("GET", "HEAD")):
            return None, None
        token = token_of(request)
        login = await self._logins.find(token) if token is not None else None
        if login is None:
            raise NotLoggedIn
        return token, login

    async def _end_others(
        self, request: web.Request, answer: aiohttp.ClientResponse, token: str, login: Login
    ) -> web.StreamResponse:
        """With a new password whoever knew the old one is logged out. Where that cannot be done the
        password has changed all the same: the answer says both."""
        is_over = read_target(raw_target(request)).partition("?")[0] == SIGN_OUT
        try:
            await self._logins.end_others(token, login)
            if is_over:
                await self._logins.end(token, login)
        except StoreUnavailable as fault:
            log.warning("forward.logins_kept", cause=repr(fault.__cause__))
            warning = ACCOUNT_WARNING if is_over else PASSWORD_WARNING
            return json_response({"warning": warning}, answer.status)
        return await _pass_back(request, answer)


def _has_changed(target: str, status: int) -> bool:
    """Whether the manager did what ends logins."""
    return 200 <= status < 300 and target.partition("?")[0] in (CHANGE_PASSWORD, SIGN_OUT)


def _outgoing(request: web.Request, target: str, login: Login | None) -> Outgoing:
    headers = request.headers
    passed = {name: headers[name] for name in _PASSED if name in headers}
    version = next((headers[name] for name in VERSION_HEADERS if name in headers), VERSION)
    return Outgoing(
        method=request.method,
        target=target,
        content_type="",
        visitor=request[VISITOR],
        request_id=request[REQUEST_ID],
        keypair=login.keypair if login is not None else None,
        version=version,
        headers=passed,
    )


async def _with_body(request: web.Request, outgoing: Outgoing) -> Outgoing:
    """Long bodies go on while they come; what was encoded for our address is decoded."""
    headers: Mapping[str, str] = outgoing.headers
    content_type = request.headers.get("Content-Type", "")
    body: object = None
    length = request.content_length
    if is_encoded(request.headers):
        body = decode_body(await request.read(), request[VISITOR].host)
        content_type = "application/json"
    elif length is not None and length <= SMALL_BYTES:
        body = await request.read() or None
    elif request.can_read_body:
        body = request.content
        if length is not None:
            headers = {**headers, "Content-Length": str(length)}
    return Outgoing(
        method=outgoing.method,
        target=outgoing.target,
        content_type=content_type,
        visitor=outgoing.visitor,
        request_id=outgoing.request_id,
        keypair=outgoing.keypair,
        version=outgoing.version,
        headers=headers,
        body=body,
    )


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict(
        (name, text) for name, text in answer.headers.items() if name.lower() not in _KEPT_BACK
    )
    length = answer.content_length
    reason = answer.reason
    if request.method != "HEAD" and length is not None and length <= SMALL_BYTES:
        body = await read_whole(answer)
        return web.Response(status=answer.status, reason=reason, headers=headers, body=body)
    response = web.StreamResponse(status=answer.status, reason=reason, headers=headers)
    if length is not None:
        response.content_length = length
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    # Events come as long as somebody listens, who asks again when they end.
    with lasting(request) if answer.content_type == _EVENTS else nullcontext():
        await _pump(answer, response)
    return response


async def _pump(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientPayloadError, TimeoutError) as error:
        # Its head is sent: only a connection that breaks tells that the rest is missing.
        log.info("forward.broken_off", error=repr(error))
        raise ConnectionResetError("the answer broke off") from error


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"
