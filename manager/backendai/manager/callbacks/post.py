"""Posting to an address that somebody chose: to no host inside, without redirects, not for long.

What counts is the address that is connected to, so no name leads elsewhere a moment later.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .model import Network, is_reachable

TIMEOUT_SECONDS: Final = 4.0
# Looking up a name blocks, and may take long: it must hold up nobody who needs another thread.
LOOKUPS_AT_ONCE: Final = 8
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "backendai-manager"}


class NotTold(Exception):
    """The address was not reached, or did not take it; the text says why."""


class Post(Protocol):
    async def __call__(self, url: str, body: bytes) -> None:
        """Raises NotTold."""
        ...


class GuardedPost:
    """Posts JSON to hosts on the internet, and in `networks`."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._lookup = _Lookup([ipaddress.ip_network(text, strict=False) for text in networks])

    async def __call__(
        self, url: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """As Post. An answer of 2xx counts; its body is not read."""
        try:
            self._lookup.check_host(URL(url).host or "")
            status = await self._send(url, body, headers or {})
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotTold(_why(error)) from error
        if not 200 <= status < 300:
            raise NotTold(f"it answered {status}")

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        connector = aiohttp.TCPConnector(
            resolver=self._lookup, use_dns_cache=False, force_close=True
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                headers=_HEADERS,
                auto_decompress=False,
            ) as http,
            http.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status


class _Lookup(AbstractResolver):
    """Finds only addresses that may be reached."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="callback-lookup")

    def check_host(self, host: str) -> None:
        """For what is an address already, and is never looked up. Raises NotTold."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            if host.rstrip(".").rpartition(".")[2][:1].isdigit():
                # Some programs read such names as addresses, in ways of their own.
                raise NotTold(f"{host} is neither a name nor an address") from None
            return
        if not is_reachable(address, self._networks):
            raise NotTold(_inside(host))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError where none of its addresses may be reached."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM
        )
        reached = [
            ResolveResult(
                hostname=host,
                host=str(place[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, place in found
            if is_reachable(ipaddress.ip_address(place[0]), self._networks)
        ]
        if not reached:
            raise OSError(errno.EHOSTUNREACH, _inside(host))
        return reached

    async def close(self) -> None:
        """Nothing: it serves many connections, one after the other."""


def _why(error: Exception) -> str:
    """Without the address, in which there may be secrets, and without what was answered."""
    told = error.strerror if isinstance(error, OSError) else None
    return told or type(error).__name__


def _inside(host: str) -> str:
    return f"{host} is in no network that callbacks may reach"
