"""A client of the API that signs as it is told, also wrongly."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from yarl import URL

from backendai.common.settings.checks import HostPort
from backendai.common.signing import SignedRequest, SignMethod, body_sha256, signed_headers

VERSION = "v7.20230615"
# What is promised within a second, on a machine that may stand still for a moment; yet sooner than
# by giving up on a store or by a slow poll.
SOON_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        return str(self.json["type"]).rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Caller:
    """Asks as one keypair. `shift` moves its clock; no access key asks without a credential."""

    http: aiohttp.ClientSession
    address: HostPort
    access_key: str | None
    secret_key: str = ""
    shift: timedelta = timedelta()
    method: SignMethod = SignMethod.HEADERS

    def but(self, **changes: Any) -> "Caller":
        return replace(self, **changes)

    async def ask(
        self,
        verb: str,
        target: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = raw if raw is not None else (json.dumps(body).encode() if body is not None else b"")
        kind = content_type if data else "text/plain"
        sent = {**self.headers(verb, target, kind, data), **(headers or {})}
        sent["Content-Type"] = kind
        url = URL(f"http://{self.address}{target}", encoded=True)
        async with self.http.request(verb, url, data=data, headers=sent) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    def headers(
        self, verb: str, target: str, content_type: str, body: bytes = b""
    ) -> dict[str, str]:
        date_text = (datetime.now(UTC) + self.shift).isoformat()
        if self.access_key is None:
            return {"Date": date_text, "X-BackendAI-Version": VERSION}
        request = SignedRequest(
            method=verb,
            target=target,
            date_text=date_text,
            host=str(self.address),
            content_type=content_type.partition(";")[0]
            if self.method is SignMethod.HEADERS
            else content_type,
            version=VERSION,
            body_sha256=body_sha256(body),
            nonce=secrets.token_hex(16),
        )
        return signed_headers(request, self.access_key, self.secret_key, self.method)

    async def graph(self, query: str, **variables: Any) -> Any:
        answer = await self.ask("POST", "/admin/gql", {"query": query, "variables": variables})
        assert answer.status == 200, answer.body
        return answer.json

    @asynccontextmanager
    async def stream(self, target: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response whose body is read as it comes, as for server-sent events."""
        sent = {**self.headers("GET", target, "application/octet-stream"), **headers}
        url = URL(f"http://{self.address}{target}", encoded=True)
        skip = ["Content-Type"]
        async with self.http.get(url, headers=sent, skip_auto_headers=skip) as response:
            yield response

    @asynccontextmanager
    async def socket(self, target: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        sent = self.headers("GET", target, "application/octet-stream")
        url = URL(f"ws://{self.address}{target}", encoded=True)
        async with self.http.ws_connect(url, headers=sent) as socket:
            yield socket


async def until(look: Any, seconds: float = 60.0) -> Any:
    """What the coroutine function gives once that is true; TimeoutError when it never is."""
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.02)
