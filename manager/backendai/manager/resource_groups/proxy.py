"""Asks a resource group's app proxy which of the two protocols it speaks."""

from typing import Final, Protocol

import aiohttp
import msgspec

from backendai.common.faults import Unavailable
from backendai.common.logs import get_logger

log = get_logger(__name__)

TIMEOUT_SECONDS: Final = 2.0
ANSWER_BYTES_MAX: Final = 64 * 1024


class ProxyStatus(msgspec.Struct, frozen=True):
    """The answer of a proxy's `/status`; the older protocol has none."""

    api_version: str = "v1"


class ProxyQuery(Protocol):
    async def __call__(self, address: str) -> str:
        """`v1` or `v2`. Raises Unavailable when the proxy gives no sound answer in time."""
        ...


async def ask_version(address: str) -> str:
    """As ProxyQuery, over HTTP."""
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(address.rstrip("/") + "/status") as response,
        ):
            body = await response.content.read(ANSWER_BYTES_MAX)
            version = msgspec.json.decode(body, type=ProxyStatus).api_version
    except (aiohttp.ClientError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
        log.warning("proxy.no_answer", address=address, cause=repr(error))
        raise Unavailable("The app proxy of this resource group does not answer.") from error
    if version not in ("v1", "v2"):
        raise Unavailable("The app proxy of this resource group speaks an unknown protocol.")
    return version
