"""`/server/…`: logging in and out, and one's own logins."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
import trafaret as t
from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.faults import (
    PROBLEM_TYPE_PREFIX,
    Fault,
    InvalidParams,
    Kind,
    RateLimited,
    StoreUnavailable,
)
from backendai.common.http import REQUEST_ID, json_response
from backendai.common.params import check_params, read_raw_params

from .faults import (
    AlreadyLoggedIn,
    LoginNotFound,
    ManagerAway,
    ManagerLate,
    NotLoggedIn,
    TooManyTries,
)
from .logins.cookies import give_token, take_token, token_of
from .logins.model import Keypair, Login
from .logins.store import Logins
from .proxy.own import OwnRequests
from .proxy.upstream import Outgoing, Upstream
from .settings import ApiSection, SessionSection
from .visitor import VISITOR

_TEXT: Final = t.String(max_length=1024)
_LOGIN: Final = t.Dict(
    t.Key("username", trafaret=_TEXT),
    t.Key("password", trafaret=_TEXT),
).allow_extra("*")
_RENEW: Final = t.Dict(
    t.Key("username", trafaret=_TEXT),
    t.Key("current_password", trafaret=_TEXT),
    t.Key("new_password", trafaret=_TEXT),
    t.Key("domain", optional=True, trafaret=_TEXT),
    t.Key("otp", optional=True, trafaret=t.String(allow_blank=True, max_length=16)),
)
# Every page waits for it: a manager that takes longer is as good as away.
LOOK_SECONDS: Final = 3.0
_REFUSED: Final = frozenset({Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.INVALID})


class Server:
    """Handlers. What a manager refuses is told in the body, as other clients expect it."""

    def __init__(
        self,
        upstream: Upstream,
        logins: Logins,
        own: OwnRequests,
        api: ApiSection,
        session: SessionSection,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._logins = logins
        self._own = own
        self._api = api
        self._session = session
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/server/login", self.log_in),
            web.post("/server/login-check", self.check),
            web.post("/server/logout", self.log_out),
            web.post("/server/token-login", self.log_in_by_token),
            web.post("/server/extend-login-session", self.extend),
            web.post("/server/update-password-no-auth", self.renew_password),
            web.get("/server/sessions", self.list_logins),
            web.delete("/server/sessions", self.end_others),
            web.delete("/server/sessions/{id}", self.end_login),
        ]

    async def log_in(self, request: web.Request) -> web.Response:
        params = check_params(await read_raw_params(request), _LOGIN)
        if (await self._find_good(request))[1] is not None:
            raise AlreadyLoggedIn
        # Before a password is tried: one who cannot be logged in need not tell it.
        await self._logins.check()
        body = {"domain": self._api.domain, **params, "type": "keypair"}
        try:
            found = await self._ask(request, "/auth/authorize", body)
        except RateLimited as fault:
            raise TooManyTries(fault.detail, fault.facts) from None
        except Fault as fault:
            return json_response({"authenticated": False, "data": _told(fault)})
        return await self._begin(request, found, params["username"], body["domain"])

    async def log_in_by_token(self, request: web.Request) -> web.Response:
        """Of somebody whom another site has sent, with a token under the name that is set."""
        name = self._session.token_name
        params = await read_raw_params(request)
        token = params.get(name) or request.cookies.get(name)
        if not isinstance(token, str) or not token:
            raise InvalidParams("", {name: "is required"})
        try:
            return await self.begin_by_token(request, token, None)
        except Fault as fault:
            return json_response({"authenticated": False, "data": _told(fault)})

    async def begin_by_token(
        self, request: web.Request, token: str, response: web.Response | None
    ) -> web.Response:
        """Raises what the manager answers. The cookie goes with `response`, where there is one."""
        await self._logins.check()
        domain = self._api.domain
        body = {"type": "token", "domain": domain, "token": token}
        found = await self._ask(request, "/auth/authorize", body)
        return await self._begin(request, found, "", domain, response)

    async def check(self, request: web.Request) -> web.Response:
        token, login = await self._find_good(request)
        data = _shown(login) if login is not None else None
        body = {
            "authenticated": login is not None,
            "data": data,
            "session_id": token if login is not None else None,
        }
        return json_response(body)

    async def log_out(self, request: web.Request) -> web.Response:
        token, login = await self._find(request)
        if token is not None and login is not None:
            await self._logins.end(token, login)
        response = web.Response(status=201)
        take_token(response)
        return response

    async def extend(self, request: web.Request) -> web.Response:
        token, login = await self._get(request)
        longer = await self._logins.extend(token, login)
        response = json_response({"status": 201, "expires": longer.expires_at.isoformat()})
        give_token(request, response, token, self._session.max_age)
        return response

    async def renew_password(self, request: web.Request) -> web.Response:
        params = check_params(await read_raw_params(request), _RENEW)
        body = {"domain": self._api.domain, **params}
        try:
            found = await self._ask(request, "/auth/update-password-no-auth", body)
        except RateLimited as fault:
            raise TooManyTries(fault.detail, fault.facts) from None
        except Fault as fault:
            return json_response({"data": _told(fault), "password_changed_at": None})
        return json_response({"data": None, **found})

    async def list_logins(self, request: web.Request) -> web.Response:
        token, login = await self._get(request)
        own = await self._logins.list_of(login)
        current = self._logins.id_of(token)
        items = [
            {
                "id": login_id,
                "is_current": login_id == current,
                "created_at": each.created_at,
                "expires_at": each.expires_at,
                "address": each.address,
                "agent": each.agent,
            }
            for login_id, each in own.items()
        ]
        return json_response({"items": items})

    async def end_others(self, request: web.Request) -> web.Response:
        token, login = await self._get(request)
        return json_response({"ended": await self._logins.end_others(token, login)})

    async def end_login(self, request: web.Request) -> web.Response:
        _, login = await self._get(request)
        if not await self._logins.end_by_id(login, request.match_info["id"]):
            raise LoginNotFound
        return json_response({"ended": 1})

    async def _begin(
        self,
        request: web.Request,
        found: Mapping[str, Any],
        name: str,
        domain: str,
        response: web.Response | None = None,
    ) -> web.Response:
        login = Login(
            keypair=_keypair_of(found),
            name=name,
            domain=domain,
            created_at=self._clock.now(),
            expires_at=self._logins.expire_from_now(),
            address=request[VISITOR].address,
            agent=request.headers.get("User-Agent", "")[:200],
        )
        token = await self._logins.begin(login)
        made = response or json_response({"authenticated": True, "data": _shown(login)})
        give_token(request, made, token, self._session.max_age)
        return made

    async def _ask(
        self, request: web.Request, target: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        outgoing = Outgoing(
            method="POST",
            target=target,
            content_type="application/json",
            visitor=request[VISITOR],
            request_id=request[REQUEST_ID],
        )
        return await self._upstream.ask_json(outgoing, body)

    async def _find(self, request: web.Request) -> tuple[str | None, Login | None]:
        """Nobody where the store does not answer."""
        token = token_of(request)
        try:
            return token, await self._logins.find(token) if token is not None else None
        except StoreUnavailable:
            return token, None

    async def _find_good(self, request: web.Request) -> tuple[str | None, Login | None]:
        """Nobody either where the password was changed since, as far as managers can be asked."""
        token, login = await self._find(request)
        if token is None or login is None:
            return token, None
        outgoing = Outgoing(
            method="GET",
            target="/auth?echo=x",
            content_type="",
            visitor=request[VISITOR],
            request_id=request[REQUEST_ID],
            keypair=login.keypair,
        )
        with suppress(ManagerAway, ManagerLate, StoreUnavailable, TimeoutError):
            async with (
                asyncio.timeout(LOOK_SECONDS),
                await self._own.ask(outgoing, token, login),
            ):
                return await self._find(request)
        return token, login

    async def _get(self, request: web.Request) -> tuple[str, Login]:
        """Raises NotLoggedIn."""
        token = token_of(request)
        login = await self._logins.find(token) if token is not None else None
        if token is None or login is None:
            raise NotLoggedIn
        return token, login


def _told(fault: Fault) -> dict[str, str]:
    """A refusal as pages read it. What is no refusal is raised on."""
    if fault.kind not in _REFUSED:
        raise fault
    return {
        "type": PROBLEM_TYPE_PREFIX + fault.slug,
        "title": fault.title,
        "details": fault.detail or fault.title,
    }


def _shown(login: Login) -> dict[str, str]:
    keypair = login.keypair
    return {"access_key": keypair.access_key, "role": keypair.role, "status": keypair.status}


def _keypair_of(found: Mapping[str, Any]) -> Keypair:
    """Raises ManagerAway for what is no answer of this API."""
    try:
        return msgspec.convert(found["data"], Keypair)
    except (KeyError, msgspec.ValidationError) as error:
        raise ManagerAway("The manager answered what this server does not know.") from error
