"""The way to storage proxies: one call gets its answer in time, or a fault that names the host."""

import asyncio
import errno
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from backendai.common.faults import (
    BadRequest,
    Conflict,
    Fault,
    FileNotFound,
    InvalidParams,
    QuotaExceeded,
    ServerMisconfigured,
    StorageFailed,
    StorageUnavailable,
)
from backendai.common.http import REQUEST_ID_HEADER
from backendai.common.logs import context_field, get_logger
from backendai.common.spans import SpanKind
from backendai.common.storage_faults import VolumeNotFound
from backendai.common.tracing import span, trace_headers

from .volumes import Host, ProxyAddress, VolumeConfig, read_config

log = get_logger(__name__)

T = TypeVar("T")

TOKEN_HEADER: Final = "X-BackendAI-Storage-Auth-Token"  # noqa: S105
CONNECT_SECONDS: Final = 3.0
# Of what is done while somebody waits.
ASK_SECONDS: Final = 20.0
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
DETAIL_CHARS_MAX: Final = 500
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_VOLUME: Final = f"/{VolumeNotFound.slug}"
_THERE: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a proxy; the answer has come within `seconds`, or the host is away."""

    method: str
    path: str
    body: Mapping[str, Any]
    seconds: float = ASK_SECONDS


class ProxyLink:
    """Knows the storage proxies of the configuration, which is learned again at each change."""

    def __init__(self) -> None:
        self._config = VolumeConfig()
        self._exits = AsyncExitStack()
        self._http: aiohttp.ClientSession | None = None

    @property
    def config(self) -> VolumeConfig:
        return self._config

    def learn(self, pairs: Mapping[str, str]) -> None:
        """Take over a new snapshot of the configuration."""
        self._config = read_config(pairs)
        for name, what in self._config.broken.items():
            log.warning("storage.proxy_misconfigured", proxy=name, detail=what)

    async def close(self) -> None:
        await self._exits.aclose()

    def address_of(self, host: Host) -> ProxyAddress:
        """Raises InvalidParams that names what there is."""
        address = self._config.proxies.get(host.proxy)
        if address is None:
            known = ", ".join(sorted(self._config.proxies)) or "none"
            raise InvalidParams(
                facts={"host": f"there is no storage proxy {host.proxy}; there are: {known}"}
            )
        return address

    async def ask(self, host: Host, call: Call, shape: type[T]) -> T:
        """The answer. Raises as `tell`, and StorageFailed for one that makes no sense."""
        body = await self.tell(host, call)
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.MsgspecError as error:
            log.warning("storage.odd_answer", host=str(host), path=call.path, cause=str(error))
            raise StorageFailed(f"The storage host {host} answered what makes no sense.") from error

    async def tell(self, host: Host, call: Call) -> bytes:
        """The body of the answer.

        Raises InvalidParams for an unknown proxy, StorageUnavailable without an answer in time, and
        what the proxy's refusal is to our caller. No fault or log line has the secret.
        """
        address = self.address_of(host)
        facts = {"http.request.method": call.method, "storage.host": str(host)}
        with span(f"{call.method} {call.path}", SpanKind.CLIENT, facts) as here:
            status, body = await self._exchange(address, host, call)
            here.note({"http.response.status_code": status})
            if status >= 300:
                raise _fault_of(host, call, status, body)
            return body

    async def _exchange(self, address: ProxyAddress, host: Host, call: Call) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(call.seconds):
                return await self._send(address, call)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            cause = type(error).__name__
            log.warning("storage.no_answer", host=str(host), path=call.path, cause=cause)
            raise _away(host) from error

    async def _send(self, address: ProxyAddress, call: Call) -> tuple[int, bytes]:
        async with self._session().request(
            call.method,
            address.manager_api + call.path,
            json=call.body,
            headers={TOKEN_HEADER: address.secret, **_told_of_request(), **trace_headers()},
            ssl=address.ssl_verify,
            allow_redirects=False,
        ) as response:
            return response.status, await _read_all(response)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._http = aiohttp.ClientSession(timeout=timeout)
            self._exits.push_async_callback(self._http.close)
        return self._http


async def _read_all(response: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return bytes(read)


def _away(host: Host) -> StorageUnavailable:
    fault = StorageUnavailable(facts={"host": str(host)})
    # Clients show the title alone.
    fault.title = f"The storage host {host} does not answer."
    return fault


def _fault_of(host: Host, call: Call, status: int, body: bytes) -> Fault:
    """What a refusal of a proxy is to our caller; what only operators can mend is logged."""
    told = _told(body)
    detail = str(told.get("msg") or told.get("title") or "")[:DETAIL_CHARS_MAX]
    facts: dict[str, Any] = {key: told[key] for key in ("errno", "paths") if key in told}
    number = facts.get("errno")
    if status == 404 and str(told.get("type")).endswith(_NO_VOLUME):
        # Not that a file is missing: nobody knows what is in the folders of this host.
        log.warning("storage.no_volume", host=str(host), path=call.path)
        return StorageFailed(f"The storage host {host} has no such volume.")
    if status == 404 or number == errno.ENOENT:
        return FileNotFound(detail, facts)
    if status == 409 or number in _THERE:
        return Conflict(detail, facts)
    if status == 507 or number in _FULL:
        return QuotaExceeded(detail or f"There is no room left on {host}.", facts)
    if status in (400, 413, 415):
        data = told.get("data")
        return BadRequest(detail, data if isinstance(data, dict) else facts)
    log.warning("storage.refused", host=str(host), path=call.path, status=status, detail=detail)
    if status in (401, 403):
        return ServerMisconfigured(f"The storage host {host} does not take this manager's secret.")
    if status in (502, 503, 504):
        return _away(host)
    return StorageFailed(f"The storage host {host} failed: {detail or status}")


def _told(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return {}
    return told if isinstance(told, dict) else {}


def _told_of_request() -> dict[str, str]:
    """The request on whose behalf the proxy is asked, for its log."""
    request_id = context_field("request_id")
    return {REQUEST_ID_HEADER: str(request_id)} if request_id else {}
