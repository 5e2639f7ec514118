"""`/server/oidc/…`: to the provider and back."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed
from backendai.common.login_tokens import LoginClaims, sign_login

from ..logins.model import Vault
from ..rest import Server
from ..visitor import VISITOR
from .provider import Provider
from .state import LIFE_SECONDS, Attempt, make_attempt

PATH: Final = "/server/oidc"
COOKIE: Final = "backendai_oidc"
_BOUND: Final = "oidc"


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
        response = _redirect(await self._provider.address_for(attempt))
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
        attempt = self._read_attempt(request.cookies)
        given = request.query.get("state", "")
        if not hmac.compare_digest(attempt.state.encode(), given.encode("utf-8", "replace")):
            raise AuthFailed("This answer is of another login: begin again.")
        code = request.query.get("code")
        if not code:
            raise AuthFailed("The provider did not let you in.")
        identity = await self._provider.identify(attempt, code)
        claims = LoginClaims(identity.email, secrets.token_urlsafe(16), identity.name)
        token = sign_login(claims, self._token_key, self._clock.now())
        response = await self._server.begin_by_token(request, token, _redirect(attempt.next))
        response.del_cookie(COOKIE, path=PATH)
        return response

    def _read_attempt(self, cookies: Mapping[str, Any]) -> Attempt:
        try:
            sealed = bytes.fromhex(cookies.get(COOKIE, ""))
        except ValueError:
            sealed = b""
        attempt = self._vault.open(_BOUND, sealed)
        if attempt is None or attempt.expires < self._clock.now().timestamp():
            raise AuthFailed("No login is under way in this browser: begin again.")
        return attempt


def _redirect(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address})
