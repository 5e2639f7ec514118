"""Requests in the name of a login, which ends where its password has: managers refuse who logged in
with one before, and a login that changes the password itself goes on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

import aiohttp
import msgspec

from backendai.common.faults import StoreUnavailable
from backendai.common.logs import get_logger
from backendai.common.web_logins import PASSWORD_AT_HEADER, LoginOutdated

from ..logins.model import Login
from ..logins.store import Logins
from .upstream import Outgoing, Upstream, decode, read_whole

log = get_logger(__name__)

CHANGE_PASSWORD: Final = "/auth/update-password"  # noqa: S105 - a path


class OwnRequests:
    """Asks managers in users' names."""

    def __init__(self, upstream: Upstream, logins: Logins) -> None:
        self._upstream = upstream
        self._logins = logins
        # A lock is there as long as somebody holds it or waits for it.
        self._changing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, outgoing: Outgoing, token: str, login: Login) -> aiohttp.ClientResponse:
        """The answer of a manager, of any status. Raises ManagerAway and StoreUnavailable."""
        if outgoing.target.partition("?")[0] == CHANGE_PASSWORD:
            async with self._change(token):
                return await self._ask_for_change(outgoing, token, login)
        answer = await self._upstream.ask(outgoing)
        if not await _is_outdated(answer):
            return answer
        # It may be this login that changes it, and is not told yet.
        async with self._change(token):
            now = await self._find_renewed(token, login)
        if now is not None and isinstance(outgoing.body, bytes | None):
            # Nothing was done, so that asking again does it once.
            return await self._upstream.ask(replace(outgoing, keypair=now.keypair))
        return answer

    async def _ask_for_change(
        self, outgoing: Outgoing, token: str, login: Login
    ) -> aiohttp.ClientResponse:
        answer = await self._upstream.ask(outgoing)
        if await _is_outdated(answer):
            await self._find_renewed(token, login)
        elif 200 <= answer.status < 300:
            await self._renew(answer, token, login)
        return answer

    async def _renew(self, answer: aiohttp.ClientResponse, token: str, login: Login) -> None:
        """It goes on with the new password; without the store it ends with its next request."""
        at = answer.headers.get(PASSWORD_AT_HEADER, "")
        keypair = msgspec.structs.replace(login.keypair, password_changed_at=at)
        with suppress(StoreUnavailable):
            await self._logins.replace(token, msgspec.structs.replace(login, keypair=keypair))

    async def _find_renewed(self, token: str, login: Login) -> Login | None:
        """The login as it has become; one that has not is over."""
        now = await self._logins.reload(token)
        if now is None or now.keypair != login.keypair:
            return now
        log.info("login.outdated", name=login.name)
        await self._logins.end(token, login)
        return None

    @asynccontextmanager
    async def _change(self, token: str) -> AsyncIterator[None]:
        """One at a time of each login."""
        lock = self._changing.setdefault(token, asyncio.Lock())
        async with lock:
            yield


async def _is_outdated(answer: aiohttp.ClientResponse) -> bool:
    if answer.status != LoginOutdated.kind.status:
        return False
    problem = decode(await read_whole(answer))
    return isinstance(problem, dict) and problem.get("code") == LoginOutdated.code
