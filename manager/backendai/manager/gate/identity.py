"""Who a request comes from: signature, date, addresses, and that it was not seen before."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed
from backendai.common.http import forwarded_for, raw_target
from backendai.common.signing import (
    SignMethod,
    check_date,
    parse_date,
    read_signed_request,
    verify,
)
from backendai.common.web_logins import PASSWORD_AT_HEADER, refuse_outdated

from .actor import Actor, authorize_delegation
from .keyring import Identity, Keyring, Network
from .limiter import Allowance, Limiter, Once

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Verified when there is no such key, so that the time does not tell.
_NOBODYS_SECRET: Final = "no keypair has this secret key, it is never accepted"  # noqa: S105


class Gatekeeper:
    """Turns a signed request into an Actor."""

    def __init__(
        self, keyring: Keyring, limiter: Limiter, clock: Clock, trusted_proxies: Iterable[str] = ()
    ) -> None:
        self._keyring = keyring
        self._limiter = limiter
        self._clock = clock
        self._trusted = tuple(ipaddress.ip_network(text, strict=False) for text in trusted_proxies)

    async def identify(self, request: web.Request) -> tuple[Actor, Allowance]:
        """Raises AuthFailed (LoginOutdated among them), InvalidAuthParams, RateLimited and
        StoreUnavailable."""
        authorization = request.headers.get("Authorization")
        if not authorization:
            raise AuthFailed("Unauthorized access")
        body = await request.read() if SignMethod.BODY.value in authorization else b""
        signed, credential = read_signed_request(
            request.method, raw_target(request), request.headers, body
        )
        check_date(signed.date_text, self._clock.now(), credential.method)
        identity = await self._keyring.find(credential.access_key)
        verify(signed, credential, identity.secret_key if identity else _NOBODYS_SECRET)
        if identity is None:
            raise AuthFailed("Access key not found")
        self._check_address(request, identity)
        refuse_outdated(request.headers.get(PASSWORD_AT_HEADER), identity.password_at)
        once = None
        if request.method not in _SAFE_METHODS:
            once = Once(credential.signature, parse_date(signed.date_text))
        actor = identity.actor
        allowance = await self._limiter.admit(actor.access_key, actor.rate_limit, once)
        self._keyring.note_use(actor.access_key)
        return actor, allowance

    async def owner_of(self, actor: Actor, access_key: str | None) -> Actor:
        """On whose behalf `actor` asks. Raises Forbidden."""
        if access_key is None or access_key == actor.access_key:
            return actor
        identity = await self._keyring.find(access_key)
        return authorize_delegation(actor, identity.actor if identity else None)

    def _check_address(self, request: web.Request, identity: Identity) -> None:
        if not identity.allowed_networks:
            return
        address = self.address_of(request)
        if not _is_in(address, identity.allowed_networks):
            raise AuthFailed("This account may not be used from your address")

    def address_of(self, request: web.Request) -> str:
        """The nearest address that is not one of our own proxies."""
        for hop in [request.remote, *forwarded_for(request)]:
            if hop is None or not _is_in(hop, self._trusted):
                return hop or ""
        return request.remote or ""


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
