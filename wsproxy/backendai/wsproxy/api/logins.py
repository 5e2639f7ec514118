"""The older API: a page hands over its login, and the app proxy itself asks for the app's start.

It asks none but the endpoints of its settings. Logins are kept in memory alone: after a restart a
page hands its own over again, as it does each time it opens an app.
"""

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import trafaret as t
from aiohttp import DummyCookieJar, web

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed, Fault, Forbidden, Unavailable, fault_from_problem
from backendai.common.http import json_response
from backendai.common.params import read_params, read_query
from backendai.common.signing import VERSION_HEADERS, SignedRequest, signed_headers
from backendai.common.web_logins import COOKIE, TOKEN_HEADER

from ..tokens import TokenBox
from .asking import require_same, session_of
from .circuits import CircuitsApi

LOGINS_MAX: Final = 4096
LOGIN_SECONDS: Final = 12 * 3600.0
ASK_SECONDS: Final = 45.0
_API_VERSION: Final = "v7.20230615"
_TEXT_CHARS_MAX: Final = 512

# It goes into a header.
_SESSION: Final = re.compile(r"[A-Za-z0-9_.-]{8,256}")
_text = t.String(max_length=_TEXT_CHARS_MAX)
_BODY: Final = t.Dict(
    {
        t.Key("endpoint"): _text,
        t.Key("mode", default="API"): t.Enum("SESSION", "API"),
        t.Key("auth_mode", default="header"): t.Enum("cookie", "header"),
        t.Key("session", default=""): t.String(allow_blank=True, max_length=_TEXT_CHARS_MAX),
        t.Key("access_key", default=""): t.String(allow_blank=True, max_length=_TEXT_CHARS_MAX),
        t.Key("secret_key", default=""): t.String(allow_blank=True, max_length=_TEXT_CHARS_MAX),
    },
    ignore_extra="*",
)


class NotAnEndpoint(Forbidden):
    """Whoever may name any address makes the app proxy ask it."""

    code = "wsproxy.not_an_endpoint"
    title = "The app proxy does not ask at that address."


class EndpointAway(Unavailable):
    code = "wsproxy.endpoint_away"
    title = "The manager does not answer."


@dataclass(frozen=True, slots=True)
class Login:
    """Either a web login (`session`) or a keypair."""

    endpoint: str
    session: str = field(default="", repr=False)
    is_cookie: bool = False
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Below which the API's paths are."""
        return f"{self.endpoint}/func" if self.session else self.endpoint

    def headers(self, target: str, clock: Clock) -> Mapping[str, str]:
        if self.is_cookie:
            # A cookie alone could be what another page has a browser send: webservers refuse that.
            return {"Cookie": f"{COOKIE}={self.session}", VERSION_HEADERS[0]: _API_VERSION}
        if self.session:
            return {TOKEN_HEADER: self.session}
        request = SignedRequest(
            method="POST",
            target=target,
            date_text=clock.now().isoformat(),
            host=urlsplit(self.endpoint).netloc,
            content_type="application/json",
            version=_API_VERSION,
        )
        return signed_headers(request, self.access_key, self.secret_key)


class LoginsApi:
    """`endpoints` are those that may be asked; the circuits are those of the newer API."""

    def __init__(
        self, endpoints: Sequence[str], circuits: CircuitsApi, tokens: TokenBox, clock: Clock
    ) -> None:
        self._endpoints = frozenset(endpoints)
        self._circuits = circuits
        self._tokens = tokens
        self._clock = clock
        self._logins: OrderedDict[str, tuple[float, Login]] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.put("/conf", self.conf),
            web.get("/proxy/{token}/{session}/add", self.add),
            web.get("/proxy/{token}/{session}/delete", self._circuits.delete),
        ]

    async def conf(self, request: web.Request) -> web.Response:
        """Raises InvalidParams, NotAnEndpoint."""
        login = self._read(await read_params(request, _BODY))
        token = secrets.token_urlsafe(32)
        self._logins[token] = (self._clock.monotonic() + LOGIN_SECONDS, login)
        while len(self._logins) > LOGINS_MAX:
            self._logins.popitem(last=False)
        return json_response({"token": token}, headers={"Cache-Control": "no-store"})

    def _read(self, found: Mapping[str, Any]) -> Login:
        endpoint = str(found["endpoint"]).rstrip("/")
        if endpoint not in self._endpoints:
            raise NotAnEndpoint
        if found["mode"] == "SESSION" and _SESSION.fullmatch(found["session"]):
            return Login(endpoint, found["session"], found["auth_mode"] == "cookie")
        if found["mode"] == "API" and found["access_key"] and found["secret_key"]:
            return Login(endpoint, access_key=found["access_key"], secret_key=found["secret_key"])
        raise AuthFailed("There is no login in it.")

    async def add(self, request: web.Request) -> web.Response:
        login = self._find(request.match_info["token"])
        query, session_id = read_query(request), session_of(request)
        body = {"app": query.get("app", ""), "login_session_token": login.session or None}
        for name, wanted in (("port", "port"), ("envs", "envs"), ("args", "arguments")):
            if query.get(name):
                body[wanted] = query[name]
        token = await self._start_app(login, f"/session/{session_id}/start-service", body)
        claims = self._tokens.read_conf(token)
        require_same(claims, session_id, query.get("app"))
        return await self._circuits.answer_add(token, claims, query)

    def _find(self, token: str) -> Login:
        until, login = self._logins.get(token, (0.0, None))
        if login is None or until <= self._clock.monotonic():
            self._logins.pop(token, None)
            raise AuthFailed("The login is not known; open the app again.")
        return login

    async def _start_app(self, login: Login, path: str, body: Mapping[str, Any]) -> str:
        """The token that the manager gets of us. Raises what the manager says."""
        url = login.address + path
        headers = {**login.headers(urlsplit(url).path, self._clock)}
        headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        data = json.dumps(body).encode()
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=DummyCookieJar()) as asker,
                asker.post(url, data=data, headers=headers, allow_redirects=False) as answer,
            ):
                said = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EndpointAway from error
        if answer.status != 200 or not isinstance(said, dict):
            raise _fault_of(answer.status, said)
        return str(said.get("token", ""))


def _fault_of(status: int, said: Any) -> Fault:
    return fault_from_problem(status, said) if isinstance(said, dict) else EndpointAway()
