"""Speaks with the app proxies of resource groups: which protocol, and what a token stands for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

import aiohttp
import msgspec

from backendai.common.contracts.wsproxy import (
    CONF_PATH,
    STATUS_PATH,
    ProxyConf,
    ProxyToken,
    sign_conf,
)
from backendai.common.faults import Unavailable
from backendai.common.http import read_at_most
from backendai.common.logs import get_logger
from backendai.common.spans import SpanKind
from backendai.common.tracing import span, trace_headers

log = get_logger(__name__)

TIMEOUT_SECONDS: Final = 2.0
ANSWER_BYTES_MAX: Final = 64 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)


class ProxyStatus(msgspec.Struct, frozen=True):
    """The answer of a proxy's `/status`; the older protocol has none."""

    api_version: str = "v1"
    advertise_address: str | None = None


class AppProxy(Protocol):
    """The way to the proxies. Both raise Unavailable when one gives no sound answer in time."""

    async def ask_status(self, address: str) -> ProxyStatus: ...

    async def tell(self, address: str, secret: bytes, conf: ProxyConf, now: datetime) -> str:
        """The token that stands for `conf`."""
        ...


class HttpAppProxy:
    """An AppProxy over HTTP."""

    async def ask_status(self, address: str) -> ProxyStatus:
        with _told(address):
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as http,
                http.get(_join(address, STATUS_PATH), headers=trace_headers()) as response,
            ):
                body = await read_at_most(response, ANSWER_BYTES_MAX)
                status = msgspec.json.decode(body, type=ProxyStatus)
        if status.api_version not in ("v1", "v2"):
            raise Unavailable("The app proxy of this resource group speaks an unknown protocol.")
        return status

    async def tell(self, address: str, secret: bytes, conf: ProxyConf, now: datetime) -> str:
        body = msgspec.json.encode(conf)
        signed = {**sign_conf(secret, body, now), "Content-Type": "application/json"}
        with _told(address):
            headers = {**signed, **trace_headers()}
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as http,
                http.post(_join(address, CONF_PATH), data=body, headers=headers) as response,
            ):
                answer = await read_at_most(response, ANSWER_BYTES_MAX)
                return msgspec.json.decode(answer, type=ProxyToken).token


def _join(address: str, path: str) -> str:
    return address.rstrip("/") + path


@contextmanager
def _told(address: str) -> Iterator[None]:
    """What goes wrong on the way, as the one fault that users may know of."""
    try:
        with span("app proxy", SpanKind.CLIENT):
            yield
    except (aiohttp.ClientError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
        log.warning("proxy.no_answer", address=address, cause=repr(error))
        raise Unavailable("The app proxy of this resource group does not answer.") from error
