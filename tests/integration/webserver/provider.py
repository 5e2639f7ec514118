"""A small OpenID provider: one person, who always agrees."""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from backendai.common.http import json_response, make_app, serve
from backendai.common.settings.checks import HostPort

CLIENT: Final = "console"
SECRET: Final = "secret-of-the-client-1"


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class SmallProvider:
    """`claims` are laid over what it says of the person; tests have it lie. `pause_seconds` are
    within what it says of itself."""

    key: rsa.RSAPrivateKey = field(default_factory=make_key)
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    algorithm: str = "RS256"
    pause_seconds: float = 0.0

    def app(self) -> web.Application:
        app = make_app()
        app.router.add_get("/.well-known/openid-configuration", self.describe)
        app.router.add_get("/keys", self.show_keys)
        app.router.add_get("/authorize", self.agree)
        app.router.add_post("/token", self.give)
        return app

    async def describe(self, request: web.Request) -> web.StreamResponse:
        """In two pieces, as an answer comes over a network."""
        facts = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        whole = json.dumps(facts).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(whole[:40])
        await asyncio.sleep(self.pause_seconds)
        await response.write(whole[40:])
        return response

    async def show_keys(self, _request: web.Request) -> web.Response:
        shown = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return json_response({"keys": [{**shown, "kid": "one", "alg": "RS256", "use": "sig"}]})

    async def agree(self, request: web.Request) -> web.Response:
        code = secrets.token_urlsafe(16)
        self.asked[code] = dict(request.query)
        back = f"{request.query['redirect_uri']}?code={code}&state={request.query['state']}"
        return web.Response(status=302, headers={"Location": back})

    async def give(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.asked.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or form["client_secret"] != SECRET:
            return json_response({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": "Newcomer@Example.com",
            "email_verified": True,
            "name": "New Comer",
            **self.claims,
        }
        signer = self.key if self.algorithm == "RS256" else "x" * 32
        token = jwt.encode(claims, signer, self.algorithm, headers={"kid": "one"})
        return json_response({"id_token": token, "access_token": "x", "token_type": "Bearer"})


@asynccontextmanager
async def small_provider() -> AsyncIterator[SmallProvider]:
    made = SmallProvider()
    async with serve(made.app(), HostPort("127.0.0.1", 0), shutdown_seconds=0.5) as address:
        made.issuer = f"http://{address}"
        yield made
