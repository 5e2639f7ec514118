"""The API by which managers and web pages get a circuit: conf, add, auth, setup, delete."""

import uuid
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.contracts.wsproxy import ProxyConf, check_conf
from backendai.common.faults import AuthFailed, CircuitNotFound, Forbidden, InvalidParams
from backendai.common.http import json_response
from backendai.common.params import read_query
from backendai.common.relay_secrets import Secrets

from ..addresses import Addresses
from ..circuits.book import Book
from ..circuits.live import LiveCircuit
from ..circuits.model import Protocol, protocol_of
from ..doors import SETUP_PATH
from ..tokens import ConfClaims, TokenBox
from ..version import VERSION
from .asking import read_choices, require_same, session_of
from .clients import ClientAddresses

_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class CircuitsApi:
    def __init__(
        self,
        book: Book,
        tokens: TokenBox,
        addresses: Addresses,
        secrets: Secrets,
        clients: ClientAddresses,
        clock: Clock,
    ) -> None:
        self._book = book
        self._tokens = tokens
        self._addresses = addresses
        self._secrets = secrets
        self._clients = clients
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """`auth` before the routes with a token: it is no token."""
        return [
            web.get("/status", self.show_status),
            web.post("/v2/conf", self.conf),
            web.get("/v2/proxy/auth", self.auth),
            web.get("/v2/proxy/{token}/{session}/add", self.add),
            web.get("/v2/proxy/{token}/{session}/delete", self.delete),
            web.get("/v2/proxy/{token}/{session}", self.show),
            web.get("/setup", self.setup),
        ]

    async def show_status(self, _request: web.Request) -> web.Response:
        shown = {
            "api_version": "v2",
            "advertise_address": self._addresses.own,
            "version": VERSION,
        }
        return json_response(shown)

    async def conf(self, request: web.Request) -> web.Response:
        body = await request.read()
        check_conf(self._secrets.accepted(), body, request.headers, self._clock.now())
        try:
            found = msgspec.json.decode(body, type=ProxyConf)
        except msgspec.DecodeError as error:
            raise InvalidParams(str(error)) from None
        return json_response({"token": self._tokens.sign_conf(found)}, headers=_NO_STORE)

    async def add(self, request: web.Request) -> web.Response:
        """Where a browser goes on to. An app without cookies has its circuit from here on."""
        token = request.match_info["token"]
        claims = self._tokens.read_conf(token)
        query = read_query(request)
        session_id = session_of(request)
        require_same(claims, session_id, query.get("app"))
        return await self.answer_add(token, claims, query)

    async def answer_add(
        self, token: str, claims: ConfClaims, query: dict[str, str]
    ) -> web.Response:
        choices = read_choices(query)
        passed = {"app": claims.app, "protocol": claims.protocol, "token": token}
        passed["session_id"] = str(claims.id)
        for name in ("open_to_public", "allowed_client_ips", "subdomain"):
            if query.get(name):
                passed[name] = query[name]
        shown: dict[str, object] = {"code": 200}
        shown["url"] = f"{self._addresses.own}/v2/proxy/auth?{urlencode(passed)}"
        if protocol_of(claims.protocol) is Protocol.TCP:
            live, _ = await self._book.open(choices.wish(claims))
            shown["port"] = live.circuit.public_port
            shown["proxy"] = self._addresses.url_of(live.circuit)
        return json_response(shown, headers=_NO_STORE)

    async def auth(self, request: web.Request) -> web.Response:
        query = read_query(request)
        claims = self._tokens.read_conf(query.get("token", ""))
        try:
            session_id = uuid.UUID(query.get("session_id", str(claims.id)))
        except ValueError:
            raise InvalidParams("", {"session_id": "must be the id of a session"}) from None
        require_same(claims, session_id, query.get("app"))
        choices = read_choices(query)
        live, is_known = await self._book.open(choices.wish(claims))
        target = self._setup_url(live, choices.redirect)
        if "application/json" in request.headers.get("Accept", ""):
            shown = {"redirect_url": target, "reuse": is_known}
            return json_response(shown, headers=_NO_STORE)
        return web.Response(status=303, headers={**_NO_STORE, "Location": target})

    def _setup_url(self, live: LiveCircuit, redirect: str) -> str:
        """On the app's own origin, where its permit has to be set."""
        circuit = live.circuit
        token = self._tokens.sign_setup(circuit.id, redirect)
        closing = self._tokens.closing_key(circuit.id)
        passed = urlencode({"token": token, "permit_key": closing})
        if circuit.protocol is Protocol.TCP:
            return f"{self._addresses.own}/setup?{passed}"
        if circuit.is_public:
            return self._addresses.url_of(circuit) + redirect
        return f"{self._addresses.url_of(circuit)}{SETUP_PATH}?{passed}"

    async def setup(self, request: web.Request) -> web.Response:
        """Of apps without cookies: the address that asks may connect from now on."""
        token = read_query(request).get("token", "")
        claims = self._tokens.read_setup(token)
        live = self._book.find(claims.circuit)
        if live is None:
            raise CircuitNotFound
        if live.circuit.protocol is not Protocol.TCP:
            target = f"{self._addresses.url_of(live.circuit)}{SETUP_PATH}?token={quote(token)}"
            return web.Response(status=303, headers={**_NO_STORE, "Location": target})
        address = self._clients.find(request)
        if not live.circuit.admits(address):
            raise Forbidden("The app is not offered to your address.")
        if not await self._book.permit(live, self._tokens.permit_of(token), address):
            raise AuthFailed("The link was used before; it is good once.")
        gateway = self._addresses.url_of(live.circuit)
        port = live.circuit.public_port
        shown = {"gateway": gateway, "host": urlsplit(gateway).hostname, "port": port}
        return json_response({**shown, "proto": "tcp", "address": address}, headers=_NO_STORE)

    async def show(self, request: web.Request) -> web.Response:
        """Whether the session has a circuit; nothing is told to who has no token for it."""
        live = self._theirs(request)
        if not live:
            raise CircuitNotFound
        return json_response({"code": 200, "circuits": [str(one.circuit.id) for one in live]})

    async def delete(self, request: web.Request) -> web.Response:
        query = read_query(request)
        theirs = [
            live
            for live in self._theirs(request, query.get("permit_key", ""))
            if query.get("app") in (None, live.circuit.app)
        ]
        if not theirs:
            raise CircuitNotFound
        for live in theirs:
            await self._book.close(live, "closed by its user")
        return json_response({"code": 200})

    def _theirs(self, request: web.Request, closing_key: str = "") -> list[LiveCircuit]:
        """The circuits of the session that the request may do with as it likes."""
        session_id = session_of(request)
        live = self._book.list_of_session(session_id)
        try:
            claims = self._tokens.read_conf(request.match_info["token"])
        except AuthFailed:
            return [one for one in live if self._tokens.is_closing_key(one.circuit.id, closing_key)]
        if claims.id != session_id:
            return []
        return [one for one in live if one.circuit.owner == claims.user_uuid]
