"""What carries requests: the values, and the two ports that `plain` and `web` implement."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from backendai.client.faults import UnexpectedAnswer
from backendai.common.faults import fault_from_problem


@dataclass(frozen=True, slots=True)
class Request:
    """One signed request. `target` is the path with its query, percent-encoded as it is sent;
    `address` is scheme and authority. `timeout_seconds` None waits without end, but no longer than
    `idle_seconds` for the next bytes of an answer that is read as it comes."""

    method: str
    address: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    timeout_seconds: float | None = None
    idle_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Content:
    """An answer whose body is read as it comes. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


def raise_for_status(answer: Answer) -> None:
    """Raises the fault that an answer of a status other than 2xx tells of."""
    if 200 <= answer.status < 300:
        return
    if answer.status < 400:
        raise UnexpectedAnswer(f"The server answered with status {answer.status}.")
    try:
        problem = msgspec.json.decode(answer.body)
    except msgspec.MsgspecError:
        problem = answer.body[:500].decode("utf-8", "replace")
    raise fault_from_problem(answer.status, problem)


class Transport(Protocol):
    """Request and reply. Raises Unreachable, ConnectionLost and WaitedTooLong."""

    async def send(self, request: Request) -> Answer: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Closing:
    """How a WebSocket was closed: `code` is of RFC 6455, 1006 where the connection broke."""

    code: int
    reason: str = ""


class Socket(Protocol):
    """An open WebSocket of text frames; iterating ends when either side closes."""

    @property
    def closing(self) -> Closing:
        """Once iterating has ended."""
        ...

    async def write(self, text: str) -> None: ...

    def __aiter__(self) -> AsyncIterator[str]: ...


class Pipe(Protocol):
    """An open WebSocket of bytes; iterating ends when either side closes. An empty piece says that
    its sender has nothing more to send."""

    @property
    def closing(self) -> Closing:
        """Once iterating has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Waits until the other side has taken enough."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Streams(Transport, Protocol):
    """What also opens WebSockets and streams. A refusal is raised as its fault."""

    def socket(self, request: Request) -> AbstractAsyncContextManager[Socket]: ...

    def pipe(self, request: Request) -> AbstractAsyncContextManager[Pipe]: ...

    def lines(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    def content(self, request: Request) -> AbstractAsyncContextManager[Content]: ...
