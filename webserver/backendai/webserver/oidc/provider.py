"""The provider: where its pages and keys are, what a code is worth, and who somebody is."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
import jwt
import msgspec

from backendai.common.clock import Clock
from backendai.common.http import read_at_most
from backendai.common.logs import get_logger

from ..faults import AddressUnverified, ProviderAway, ProviderUntrusted
from ..settings import OidcSection
from .state import Attempt, compose_query

log = get_logger(__name__)

CACHE_SECONDS: Final = 3600.0
ANSWER_BYTES_MAX: Final = 256 * 1024
_SECONDS: Final = 10.0
_LEEWAY_SECONDS: Final = 60
# Signatures that only the provider can make: none with a secret that we have too.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_KNOWN_AS: Final = "/.well-known/openid-configuration"

T = TypeVar("T")


class Places(msgspec.Struct, frozen=True):
    """What a provider publishes of itself, as far as it matters here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


@dataclass(frozen=True, slots=True)
class Identity:
    """`email` is one that the provider has verified."""

    email: str
    name: str


class Provider:
    """Open it inside a running loop."""

    def __init__(self, settings: OidcSection, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._places: tuple[float, Places] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            self._session = session
            try:
                yield
            finally:
                self._session = None

    async def address_for(self, attempt: Attempt) -> str:
        """Where the browser is sent. Raises ProviderAway."""
        places = await self._find_places()
        mark = "&" if "?" in places.authorization_endpoint else "?"
        query = compose_query(attempt, self._settings.client_id, self._settings.scopes)
        return f"{places.authorization_endpoint}{mark}{query}"

    async def identify(self, attempt: Attempt, code: str) -> Identity:
        """Who came back with `code`. Raises ProviderUntrusted, AddressUnverified, ProviderAway."""
        places = await self._find_places()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": attempt.verifier,
        }
        if self._settings.client_secret:
            form["client_secret"] = self._settings.client_secret
        tokens = await self._ask(_Tokens, places.token_endpoint, form)
        claims = await self._verify(tokens.id_token, places)
        return _identity_of(claims, attempt.nonce)

    async def _verify(self, token: str, places: Places) -> Mapping[str, Any]:
        try:
            key = await self._find_key(jwt.get_unverified_header(token), places)
            found: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=_ALGORITHMS,
                audience=self._settings.client_id,
                issuer=places.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            log.warning("oidc.token_refused", error=repr(error))
            raise ProviderUntrusted("What the provider said of you is not right.") from error
        return found

    async def _find_key(self, header: Mapping[str, Any], places: Places) -> jwt.PyJWK:
        """Keys are fetched again, once, where the token's is new."""
        for is_fresh in (False, True):
            keys = await self._load_keys(places, is_fresh=is_fresh)
            for key in keys.keys:
                if header.get("kid") in (None, key.key_id):
                    return key
        raise ValueError("the token is signed by no key of the provider")

    async def _load_keys(self, places: Places, *, is_fresh: bool) -> jwt.PyJWKSet:
        at = self._clock.monotonic()
        if not is_fresh and self._keys is not None and at - self._keys[0] < CACHE_SECONDS:
            return self._keys[1]
        found = jwt.PyJWKSet.from_dict(await self._ask(dict[str, Any], places.jwks_uri))
        self._keys = (at, found)
        return found

    async def _find_places(self) -> Places:
        at = self._clock.monotonic()
        if self._places is not None and at - self._places[0] < CACHE_SECONDS:
            return self._places[1]
        issuer = self._settings.issuer or ""
        found = await self._ask(Places, issuer.rstrip("/") + _KNOWN_AS)
        if found.issuer.rstrip("/") != issuer.rstrip("/"):
            raise ProviderAway(f"The provider calls itself {found.issuer}, not {issuer}.")
        self._places = (at, found)
        return found

    async def _ask(self, kind: type[T], url: str, form: Mapping[str, str] | None = None) -> T:
        if self._session is None:
            raise RuntimeError("the way to the provider is not open")
        method = "GET" if form is None else "POST"
        headers = {"Accept": "application/json"}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.request(
                    method, url, data=form, headers=headers, allow_redirects=False
                ) as answer,
            ):
                data = await read_at_most(answer, ANSWER_BYTES_MAX)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ProviderAway from error
        if form is not None and 400 <= answer.status < 500:
            raise ProviderUntrusted("The provider did not take the code.")
        if answer.status != 200:
            raise ProviderAway(f"The provider answered with status {answer.status}.")
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise ProviderAway("The provider answered what this server does not know.") from error


def _identity_of(claims: Mapping[str, Any], nonce: str) -> Identity:
    """Raises ProviderUntrusted and AddressUnverified."""
    email = claims.get("email")
    if claims.get("nonce") != nonce:
        raise ProviderUntrusted("What the provider said is not of this login.")
    if not isinstance(email, str) or "@" not in email or claims.get("email_verified") is not True:
        raise AddressUnverified
    return Identity(email.lower(), str(claims.get("name") or ""))
