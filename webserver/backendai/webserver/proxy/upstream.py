"""The way to the managers: one pool of connections, and the next address when one is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from backendai.common.clock import Clock
from backendai.common.faults import fault_from_problem
from backendai.common.http import REQUEST_ID_HEADER
from backendai.common.logs import get_logger
from backendai.common.signing import SignedRequest, media_type, signed_headers
from backendai.common.spans import SpanKind
from backendai.common.tracing import span, trace_headers
from backendai.common.web_logins import PASSWORD_AT_HEADER

from ..faults import ManagerAway, ManagerLate
from ..logins.model import Keypair
from ..settings import ApiSection
from ..visitor import Visitor
from .target import is_patient

log = get_logger(__name__)

VERSION: Final = "v7.20230615"
_AUTO_HEADERS: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_ASK_SECONDS: Final = 30.0
_PING_SECONDS: Final = 30.0
_KEEP_SECONDS: Final = 30.0
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
_REFUSAL_BYTES_MAX: Final = 64 * 1024

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request to a manager, before it is addressed and signed. Without a keypair it is sent
    unsigned. `content_type` is empty where there is none, as with upgrades."""

    method: str
    target: str
    content_type: str
    visitor: Visitor
    request_id: str
    keypair: Keypair | None = None
    version: str = VERSION
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


class Upstream:
    """Open it inside a running loop."""

    def __init__(self, settings: ApiSection, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._endpoints = list(settings.endpoint)
        self._session: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None

    async def ask(self, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """The answer of a manager, of any status, with its body still to be read. Raises
        ManagerAway and ManagerLate."""
        silence = None if is_patient(outgoing.target) else self._settings.answer_timeout
        # Of the silence once the request was sent: a long body may take as long as it takes.
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.connect_timeout, sock_read=silence
        )

        async def send(session: aiohttp.ClientSession, endpoint: str) -> aiohttp.ClientResponse:
            return await session.request(
                outgoing.method,
                _url(endpoint, outgoing.target),
                headers=self._headers(outgoing, endpoint),
                data=outgoing.body,
                timeout=timeout,
                allow_redirects=False,
                skip_auto_headers=_AUTO_HEADERS,
            )

        return await self._try(outgoing.method, send, self._session)

    async def ask_json(self, outgoing: Outgoing, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object that a manager answers to one. Raises the fault that it tells of, and
        ManagerAway."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                answer = await self.ask(replace(outgoing, body=msgspec.json.encode(body)))
                async with answer:
                    data = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ManagerAway from error
        found = decode(data)
        if answer.status >= 400 or not isinstance(found, dict):
            raise fault_from_problem(answer.status, found)
        return found

    async def connect(
        self, outgoing: Outgoing, protocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        """An open WebSocket. Raises the fault that a refusal tells of, ManagerAway and
        ManagerLate."""

        async def send(
            session: aiohttp.ClientSession, endpoint: str
        ) -> aiohttp.ClientWebSocketResponse:
            async with asyncio.timeout(self._settings.answer_timeout):
                return await session.ws_connect(
                    _url(endpoint, outgoing.target),
                    headers=self._headers(outgoing, endpoint),
                    protocols=protocols,
                    heartbeat=_PING_SECONDS,
                    max_msg_size=FRAME_BYTES_MAX,
                )

        return await self._try(outgoing.method, send, self._sockets)

    async def check(self) -> None:
        """Raises ManagerAway unless a manager answers."""
        visitor = Visitor("127.0.0.1", "http", "localhost")
        answer = await self.ask(Outgoing("GET", "/", "", visitor, ""))
        answer.release()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """With its connections, which are closed at the end."""
        connector = aiohttp.TCPConnector(
            ssl=self._settings.ssl_verify, limit=0, keepalive_timeout=_KEEP_SECONDS
        )
        jar = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=jar, auto_decompress=False
            ) as self._session,
            aiohttp.ClientSession(
                connector=connector,
                connector_owner=False,
                cookie_jar=jar,
                raise_for_status=_read_refusal,
            ) as self._sockets,
        ):
            yield
        self._session = self._sockets = None

    async def _try(
        self,
        method: str,
        send: Callable[[aiohttp.ClientSession, str], Awaitable[R]],
        session: aiohttp.ClientSession | None,
    ) -> R:
        """By the first address that answers; it is asked first from then on. A span until then."""
        if session is None:
            raise RuntimeError("the way to the managers is not open")
        facts = {"http.request.method": method}
        # The address may hold anything; the manager's own span tells the route.
        with span(f"{method} manager", SpanKind.CLIENT, facts, begins_trace=False):
            return await self._try_each(send, session)

    async def _try_each(
        self,
        send: Callable[[aiohttp.ClientSession, str], Awaitable[R]],
        session: aiohttp.ClientSession,
    ) -> R:
        failed: Exception | None = None
        for endpoint in tuple(self._endpoints):
            try:
                answer = await send(session, endpoint)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                log.warning("upstream.away", endpoint=endpoint, error=repr(error))
                failed = error
            except TimeoutError as error:
                raise ManagerLate(_tell_late(self._settings.answer_timeout)) from error
            except (aiohttp.ClientError, OSError) as error:
                # It may have been done: asking another one could do it twice.
                raise ManagerAway("The manager broke off before it answered.") from error
            else:
                self._prefer(endpoint)
                return answer
        raise ManagerAway from failed

    def _prefer(self, endpoint: str) -> None:
        if self._endpoints[0] != endpoint:
            self._endpoints.remove(endpoint)
            self._endpoints.insert(0, endpoint)

    def _headers(self, outgoing: Outgoing, endpoint: str) -> dict[str, str]:
        visitor = outgoing.visitor
        made = {
            **outgoing.headers,
            "X-Forwarded-For": visitor.address,
            "X-Forwarded-Host": visitor.host,
            "X-Forwarded-Proto": visitor.scheme,
        }
        if outgoing.request_id:
            made[REQUEST_ID_HEADER] = outgoing.request_id
        made |= trace_headers()
        if outgoing.content_type:
            made["Content-Type"] = outgoing.content_type
        keypair, date_text = outgoing.keypair, self._clock.now().isoformat()
        if keypair is None:
            return {**made, "Date": date_text, "X-BackendAI-Version": outgoing.version}
        signed = SignedRequest(
            method=outgoing.method,
            target=outgoing.target,
            date_text=date_text,
            host=urlsplit(endpoint).netloc,
            content_type=media_type(outgoing.content_type or None),
            version=outgoing.version,
        )
        if keypair.password_changed_at:
            made[PASSWORD_AT_HEADER] = keypair.password_changed_at
        return made | signed_headers(signed, keypair.access_key, keypair.secret_key)


def _tell_late(seconds: float) -> str:
    return (
        f"The manager took the request and did not answer within {seconds:g} s. "
        "Whether it was done is not known: look before you ask again."
    )


async def _read_refusal(answer: aiohttp.ClientResponse) -> None:
    """Raises the fault that the answer is, unless it opens a WebSocket: aiohttp itself keeps
    nothing of a refusal but its status."""
    if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
        return
    async with asyncio.timeout(_ASK_SECONDS):
        data = await answer.content.read(_REFUSAL_BYTES_MAX)
    fault = fault_from_problem(answer.status, decode(data))
    fault.status = answer.status
    answer.close()
    raise fault


async def read_whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body; the same when it is read again. Raises ManagerAway."""
    try:
        return await answer.read()
    except (aiohttp.ClientError, OSError) as error:
        raise ManagerAway("The manager broke off within its answer.") from error


def _url(endpoint: str, target: str) -> URL:
    """Taken as it is: another encoding of the same target would have another signature."""
    return URL(endpoint + target, encoded=True)


def decode(data: bytes) -> Any:
    """JSON, or the beginning of what is none."""
    try:
        return msgspec.json.decode(data)
    except msgspec.MsgspecError:
        return data[:500].decode("utf-8", "replace")
