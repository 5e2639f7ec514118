"""`/server/oidc/…`: to the provider and back.

Browsers come here as pages, so that nobody reads JSON: who is refused is sent to the login page,
which tells the fault's code in plain words.
"""

import hmac
import secrets
from typing import Final

from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.faults import Fault
from backendai.common.http import REQUEST_ID
from backendai.common.login_tokens import LoginClaims, sign_login
from backendai.common.logs import get_logger

from ..faults import ProviderDeclined, WayExpired
from ..logins.model import Vault
from ..rest import Server
from ..visitor import VISITOR
from .provider import Provider
from .state import LIFE_SECONDS, Attempt, make_attempt, refusal_address

PATH: Final = "/server/oidc"
COOKIE: Final = "backendai_oidc"
_BOUND: Final = "oidc"
_ROOT: Final = "/"

log = get_logger(__name__)


class Oidc:
    """Handlers. The attempt is kept sealed in the browser; nothing is remembered here."""

    def __init__(
        self,
        provider: Provider,
        server: Server,
        vault: Vault[Attempt],
        token_key: bytes,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._server = server
        self._vault = vault
        self._token_key = token_key
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{PATH}/login", self.begin),
            web.get(f"{PATH}/callback", self.come_back),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        redirect_uri = f"{request[VISITOR].endpoint}{PATH}/callback"
        now = self._clock.now().timestamp()
        attempt = make_attempt(request.query.get("next", "/"), redirect_uri, now)
        try:
            response = _redirect(await self._provider.address_for(attempt))
        except Fault as fault:
            return _send_back(request, fault, attempt.next)
        response.set_cookie(
            COOKIE,
            self._vault.seal(_BOUND, attempt).hex(),
            max_age=LIFE_SECONDS,
            path=PATH,
            httponly=True,
            samesite="Lax",
            secure=request[VISITOR].scheme == "https",
        )
        return response

    async def come_back(self, request: web.Request) -> web.Response:
        attempt = self._find_attempt(request)
        if attempt is None:
            return _send_back(request, WayExpired(), _ROOT)
        try:
            response = await self._enter(request, attempt)
        except Fault as fault:
            response = _send_back(request, fault, attempt.next)
        response.del_cookie(COOKIE, path=PATH)
        return response

    async def _enter(self, request: web.Request, attempt: Attempt) -> web.Response:
        code = request.query.get("code")
        if not code:
            raise ProviderDeclined
        identity = await self._provider.identify(attempt, code)
        claims = LoginClaims(identity.email, secrets.token_urlsafe(16), identity.name)
        token = sign_login(claims, self._token_key, self._clock.now())
        return await self._server.begin_by_token(request, token, _redirect(attempt.next))

    def _find_attempt(self, request: web.Request) -> Attempt | None:
        """That of this browser, if this is the answer to it. None also where it took too long."""
        try:
            sealed = bytes.fromhex(request.cookies.get(COOKIE, ""))
        except ValueError:
            sealed = b""
        attempt = self._vault.open(_BOUND, sealed)
        if attempt is None or attempt.expires < self._clock.now().timestamp():
            return None
        given = request.query.get("state", "").encode("utf-8", "replace")
        return attempt if hmac.compare_digest(attempt.state.encode(), given) else None


def _send_back(request: web.Request, fault: Fault, next_path: str) -> web.Response:
    """To the login page at `next_path`, with what it tells of `fault`."""
    log.info("oidc.refused", code=fault.code, detail=fault.detail, cause=repr(fault.__cause__))
    return _redirect(refusal_address(next_path, fault.code, request[REQUEST_ID]))


def _redirect(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address})
