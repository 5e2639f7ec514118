"""Requests, WebSockets and line streams through aiohttp: what the SDK uses."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from backendai.client.config import Config
from backendai.client.faults import (
    ConnectionLost,
    UnexpectedAnswer,
    Unreachable,
    WaitedTooLong,
)
from backendai.client.transport import (
    Answer,
    Closing,
    Content,
    Pipe,
    Request,
    Socket,
    raise_for_status,
)
from backendai.common.contracts.tunnel import HALF_CLOSE
from backendai.common.faults import fault_from_problem

PING_SECONDS: Final = 30.0
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
LINE_BYTES_MAX: Final = 4 * 1024 * 1024
CONNECTIONS_MAX: Final = 100
BROKEN_CODE: Final = 1006
_ENDS: Final = frozenset(
    {
        aiohttp.WSMsgType.CLOSING,
        aiohttp.WSMsgType.CLOSED,
        aiohttp.WSMsgType.ERROR,
    }
)


class WebTransport:
    """A Streams transport. Its connections are pooled until `close`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        with _as_faults(request):
            async with self._begin(request) as response:
                return await _read_answer(response)

    @asynccontextmanager
    async def socket(self, request: Request) -> AsyncIterator[Socket]:
        with _as_faults(request):
            connection = await self._open().ws_connect(
                _url(request),
                headers=request.headers,
                heartbeat=PING_SECONDS,
                max_msg_size=FRAME_BYTES_MAX,
            )
            async with connection:
                yield WebSocket(connection)

    @asynccontextmanager
    async def pipe(self, request: Request) -> AsyncIterator[Pipe]:
        with _as_faults(request):
            # Without pings: their answers are not seen while what came is not taken yet.
            connection = await self._open().ws_connect(
                _url(request),
                headers=request.headers,
                max_msg_size=FRAME_BYTES_MAX,
                compress=0,
                protocols=(HALF_CLOSE,),
            )
            async with connection:
                yield WebPipe(connection)

    @asynccontextmanager
    async def lines(self, request: Request) -> AsyncIterator[AsyncIterator[str]]:
        with _as_faults(request):
            async with self._begin(request) as response:
                if response.status != HTTPStatus.OK:
                    raise_for_status(await _read_answer(response))
                yield _lines_of(response.content)

    @asynccontextmanager
    async def content(self, request: Request) -> AsyncIterator[Content]:
        with _as_faults(request):
            async with self._begin(request) as response:
                if not 200 <= response.status < 300:
                    raise_for_status(await _read_answer(response))
                yield Content(
                    response.status, _headers_of(response), _pieces_of(request, response.content)
                )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _begin(self, request: Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(
            total=request.timeout_seconds,
            sock_connect=self._config.connect_seconds,
            sock_read=request.idle_seconds,
        )
        return self._open().request(
            request.method,
            _url(request),
            headers=request.headers,
            data=request.body or None,
            timeout=timeout,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            is_tls = any(text.startswith("https:") for text in self._config.endpoints)
            # Storage proxies may speak TLS where the API does not.
            is_tls = is_tls or not self._config.verify_certificates
            tls = self._config.make_tls_context() if is_tls else True
            connector = aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


class _Closable:
    """What aiohttp tells of the end of a WebSocket."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._reason = ""

    @property
    def closing(self) -> Closing:
        return Closing(self._connection.close_code or BROKEN_CODE, self._reason)

    async def _messages(self) -> AsyncIterator[aiohttp.WSMessage]:
        while True:
            message = await self._connection.receive()
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                yield message
            elif message.type is aiohttp.WSMsgType.CLOSE:
                self._reason = str(message.extra or "")
                return
            elif message.type in _ENDS:
                return


class WebSocket(_Closable):
    """A Socket on aiohttp's."""

    async def write(self, text: str) -> None:
        await self._connection.send_str(text)

    async def __aiter__(self) -> AsyncIterator[str]:
        async for message in self._messages():
            if message.type is aiohttp.WSMsgType.TEXT:
                yield message.data


class WebPipe(_Closable):
    """A Pipe on aiohttp's."""

    async def write(self, data: bytes) -> None:
        await self._connection.send_bytes(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for message in self._messages():
            if message.type is aiohttp.WSMsgType.BINARY:
                yield message.data


def _url(request: Request) -> URL:
    """Taken as it is: another encoding of the same target would have another signature."""
    return URL(request.address + request.target, encoded=True)


async def _read_answer(response: aiohttp.ClientResponse) -> Answer:
    return Answer(response.status, _headers_of(response), await response.read())


def _headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): text for name, text in response.headers.items()}


async def _pieces_of(request: Request, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Faults are raised where the pieces are read, and not only where the answer is left."""
    with _as_faults(request):
        async for piece in content.iter_any():
            yield piece


async def _lines_of(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Lines without their ends; what follows the last end is no line."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
        if len(rest) > LINE_BYTES_MAX:
            raise UnexpectedAnswer(f"A line is longer than {LINE_BYTES_MAX} bytes.")


@contextmanager
def _as_faults(request: Request) -> Iterator[None]:
    facts = {"address": request.address}
    try:
        yield
    except aiohttp.WSServerHandshakeError as error:
        raise fault_from_problem(error.status, None) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unreachable(f"{request.address}: {_reason(error)}", facts) from error
    except TimeoutError as error:
        seconds = request.timeout_seconds or request.idle_seconds
        raise WaitedTooLong(f"No answer within {seconds} s.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost(f"{request.address}: {_reason(error)}", facts) from error


def _reason(error: BaseException) -> str:
    source = getattr(error, "os_error", error)
    return getattr(source, "strerror", None) or str(source) or type(source).__name__
