"""One user's way to the API: addresses, signs, sends, asks again, turns problems into faults."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from backendai.client.config import API, Config
from backendai.client.faults import BadUsage, ConnectionLost, UnexpectedAnswer, Unreachable
from backendai.client.refusals import fault_told
from backendai.client.signature import sign
from backendai.client.transport import (
    Answer,
    Pipe,
    Request,
    Socket,
    Streams,
    Transport,
    raise_for_status,
)
from backendai.common.clock import Clock, SystemClock
from backendai.common.faults import GraphQLFault
from backendai.common.ids import IdSource, SystemIds

TOKEN_HEADER: Final = "X-BackendAI-Client-Token"  # noqa: S105 - the name of a header
PAUSE_SECONDS: Final = 0.5

T = TypeVar("T")
Opening = Callable[[Request], AbstractAsyncContextManager[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request before it is addressed and signed.

    `path` is percent-encoded (`path_of`); a query value None is left out. A `repeatable` call may
    be asked again when its connection broke. `timeout_seconds` 0 takes the configured time, None
    waits without end.
    """

    method: str
    path: str
    query: Mapping[str, str | None] = field(default_factory=dict)
    json: Any = None
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    timeout_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer of any status. `is_repeated`: the answer to an earlier sending of the same call was
    lost, so the server may have done it before."""

    answer: Answer
    is_repeated: bool


def path_of(*segments: str) -> str:
    """`/a/b%2Fc`: each segment percent-encoded whole. Raises BadUsage for an empty one."""
    if not all(segments):
        raise BadUsage("A name or an id may not be empty.")
    return "".join("/" + quote(segment, safe="") for segment in segments)


def decode(kind: type[T], body: bytes) -> T:
    """JSON as `kind`, or UnexpectedAnswer."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswer(str(error)) from error


def convert(kind: type[T], value: Any) -> T:
    """A decoded JSON value as `kind`, or UnexpectedAnswer."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswer(str(error)) from error


class Channel:
    """Sends calls of one user over a transport; opens streams when first asked for one."""

    def __init__(
        self,
        config: Config,
        transport: Transport | None = None,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._streams: Streams | None = None
        self._transport = transport

    def new_token(self) -> str:
        """A client token: the server does what carries it at most once."""
        return self._ids.uuid().hex

    async def ask(self, call: Call) -> Answer:
        """The answer, of status 2xx. Raises the fault that another status tells of."""
        answer = (await self.send(call)).answer
        raise_for_status(answer)
        return answer

    async def send(self, call: Call) -> Sent:
        """Tries each address once while nothing answers. After a connection was lost it goes on
        asking for a while, because a restarted server soon listens again."""
        transport = self._transport or self.streams
        attempt, give_up_at = 0, 0.0
        while True:
            try:
                answer = await transport.send(self._request(call, attempt))
                return Sent(answer, is_repeated=give_up_at > 0.0)
            except (Unreachable, ConnectionLost) as fault:
                attempt += 1
                if isinstance(fault, ConnectionLost):
                    if not call.repeatable:
                        raise
                    give_up_at = give_up_at or self.clock.monotonic() + self.config.retry_seconds
                if give_up_at == 0.0 and attempt >= len(self.config.endpoints):
                    raise
                if give_up_at and self.clock.monotonic() >= give_up_at:
                    raise
            if give_up_at:
                await self.clock.sleep(PAUSE_SECONDS)

    async def ask_for(self, kind: type[T], call: Call) -> T:
        """The answer's JSON as `kind`."""
        return decode(kind, (await self.ask(call)).body)

    async def query(
        self, document: str, variables: Mapping[str, Any], *, repeatable: bool = False
    ) -> dict[str, Any]:
        """The `data` of a GraphQL answer; reads are repeatable. Raises the fault that its only
        error tells of, else GraphQLFault with the messages of its errors."""
        call = Call(
            method="POST",
            path="/admin/gql",
            json={"query": document, "variables": variables},
            repeatable=repeatable,
        )
        answer = await self.ask_for(dict[str, Any], call)
        if errors := answer.get("errors"):
            messages = [str(error.get("message", error)) for error in errors]
            told = fault_told(messages[0]) if len(messages) == 1 else None
            raise told or GraphQLFault("; ".join(messages), {"errors": errors})
        return dict(answer.get("data") or {})

    def socket(self, call: Call) -> AbstractAsyncContextManager[Socket]:
        return self._opened(call, self.streams.socket)

    def pipe(self, call: Call) -> AbstractAsyncContextManager[Pipe]:
        return self._opened(call, self.streams.pipe)

    def lines(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._opened(call, self.streams.lines)

    @asynccontextmanager
    async def _opened(self, call: Call, opening: Opening[T]) -> AsyncIterator[T]:
        """A stream from the first address that is reached."""
        async with AsyncExitStack() as stack:
            yield await self._enter(stack, call, opening)

    async def _enter(self, stack: AsyncExitStack, call: Call, opening: Opening[T]) -> T:
        for attempt in range(len(self.config.endpoints) - 1):
            with suppress(Unreachable):
                return await stack.enter_async_context(opening(self._request(call, attempt)))
        last = self._request(call, len(self.config.endpoints) - 1)
        return await stack.enter_async_context(opening(last))

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()
        if self._streams is not None:
            await self._streams.close()

    def _request(self, call: Call, attempt: int) -> Request:
        endpoint = urlsplit(self.config.endpoints[attempt % len(self.config.endpoints)])
        query = urlencode({key: text for key, text in call.query.items() if text is not None})
        timeout = call.timeout_seconds
        has_json = call.json is not None
        request = Request(
            method=call.method,
            address=f"{endpoint.scheme}://{_authority(endpoint.scheme, endpoint.netloc)}",
            target=endpoint.path.rstrip("/") + self._path(call) + (f"?{query}" if query else ""),
            headers={"X-BackendAI-Domain": self.config.domain, **call.headers},
            body=msgspec.json.encode(call.json) if has_json else call.body,
            timeout_seconds=self.config.request_seconds if timeout == 0.0 else timeout,
        )
        content_type = "application/json" if has_json else call.content_type
        return sign(request, content_type, self.config, self.clock.now(), self._ids.uuid().hex)

    def _path(self, call: Call) -> str:
        """A webserver has the API below a path, beside what is its own."""
        is_api = self.config.kind == API or call.path.startswith("/server/")
        return call.path if is_api else "/func" + call.path

    @property
    def streams(self) -> Streams:
        """Opened when first asked for; also of requests that are not for the API."""
        if self._streams is None:
            from backendai.client.web import WebTransport

            self._streams = WebTransport(self.config)
        return self._streams


def _authority(scheme: str, netloc: str) -> str:
    """Host and port as HTTP libraries write `Host`: without the scheme's own port."""
    return netloc.lower().removesuffix(":443" if scheme == "https" else ":80")
