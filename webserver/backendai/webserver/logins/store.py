"""Logins in Redis, each remembered here for a second. Losing Redis means logging in again.

While Redis is away, those that were known a moment ago go on.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backendai.common.clock import Clock
from backendai.common.faults import StoreUnavailable

from .model import Login, Vault, digest_of, make_token

CACHE_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 300.0
TOUCH_SECONDS: Final = 60.0
CACHED_MAX: Final = 4096
_ID_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Ages:
    """In seconds: how long a login is good, and how long without use."""

    whole: int
    idle: int


@dataclass(slots=True)
class _Known:
    login: Login | None
    read_at: float
    touched_at: float


class Logins:
    """Begins, finds and ends logins. Raises StoreUnavailable where Redis does not answer."""

    def __init__(self, redis: "Redis", vault: Vault[Login], ages: Ages, clock: Clock) -> None:
        self._redis = redis
        self._vault = vault
        self._ages = ages
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def id_of(self, token: str) -> str:
        """What its user calls a login by; nobody logs in with it."""
        return digest_of(token)[:_ID_CHARS]

    def expire_from_now(self) -> datetime:
        """When a login that begins now ends."""
        return self._clock.now() + timedelta(seconds=self._ages.whole)

    async def begin(self, login: Login) -> str:
        """The new login's token, which nobody else is ever told."""
        token = make_token()
        digest = digest_of(token)
        await self._write(digest, login)
        return token

    async def find(self, token: str) -> Login | None:
        digest, at = digest_of(token), self._clock.monotonic()
        known = self._known.get(digest)
        if known is None or at - known.read_at >= CACHE_SECONDS:
            known = await self._read(digest, known, at)
        login = known.login
        return login if login is not None and login.expires_at > self._clock.now() else None

    async def reload(self, token: str) -> Login | None:
        """As the store has it now, whatever is remembered here."""
        return (await self._read(digest_of(token), None, self._clock.monotonic())).login

    async def replace(self, token: str, login: Login) -> None:
        """What is known of a login that goes on."""
        await self._write(digest_of(token), login)

    async def extend(self, token: str, login: Login) -> Login:
        """The same login, good for as long as a new one."""
        longer = msgspec.structs.replace(login, expires_at=self.expire_from_now())
        await self._write(digest_of(token), longer)
        return longer

    async def end(self, token: str, login: Login) -> None:
        await self._end(login, [digest_of(token)])

    async def list_of(self, login: Login) -> dict[str, Login]:
        """All logins of the same user by their ids, oldest first."""
        found: dict[str, Login] = {}
        async with _answering():
            digests = [_text(raw) for raw in await self._redis.smembers(_owner_key(login))]
            rows = await self._redis.mget([_key(digest) for digest in digests]) if digests else []
        gone = []
        for digest, sealed in zip(digests, rows, strict=True):
            opened = self._open(digest, sealed)
            if opened is None:
                gone.append(digest)
            else:
                found[digest[:_ID_CHARS]] = opened
        await self._forget_gone(login, gone)
        return dict(sorted(found.items(), key=lambda pair: pair[1].created_at))

    async def end_by_id(self, login: Login, login_id: str) -> bool:
        """Whether the user has such a login."""
        async with _answering():
            members = [_text(raw) for raw in await self._redis.smembers(_owner_key(login))]
        chosen = [digest for digest in members if digest[:_ID_CHARS] == login_id]
        await self._end(login, chosen)
        return bool(chosen)

    async def end_others(self, token: str, login: Login) -> int:
        """End all logins of the same user but this one; how many."""
        async with _answering():
            members = [_text(raw) for raw in await self._redis.smembers(_owner_key(login))]
        others = [digest for digest in members if digest != digest_of(token)]
        await self._end(login, others)
        return len(others)

    async def check(self) -> None:
        """Raises StoreUnavailable unless Redis answers."""
        async with _answering():
            await self._redis.exists("web:login")

    async def _write(self, digest: str, login: Login) -> None:
        left = self._seconds_left(login)
        owner = _owner_key(login)
        async with _answering(), self._redis.pipeline(transaction=True) as pipe:
            _queued = (
                pipe.set(_key(digest), self._vault.seal(digest, login), ex=left),
                pipe.sadd(owner, digest),
                pipe.expire(owner, self._ages.whole),
            )
            await pipe.execute()
        at = self._clock.monotonic()
        self._remember(digest, _Known(login, at, at))

    async def _read(self, digest: str, known: _Known | None, at: float) -> _Known:
        try:
            async with _answering():
                sealed = await self._redis.get(_key(digest))
        except StoreUnavailable:
            if known is not None and at - known.read_at < AWAY_SECONDS:
                return known
            raise
        login = self._open(digest, sealed)
        touched_at = known.touched_at if known is not None else 0.0
        found = _Known(login, at, touched_at)
        if login is not None and at - touched_at >= TOUCH_SECONDS:
            async with _answering():
                await self._redis.expire(_key(digest), self._seconds_left(login))
            found.touched_at = at
        self._remember(digest, found)
        return found

    async def _end(self, login: Login, digests: list[str]) -> None:
        for digest in digests:
            self._known.pop(digest, None)
        if digests:
            async with _answering(), self._redis.pipeline(transaction=True) as pipe:
                _queued = (
                    pipe.delete(*(_key(digest) for digest in digests)),
                    pipe.srem(_owner_key(login), *digests),
                )
                await pipe.execute()

    async def _forget_gone(self, login: Login, digests: list[str]) -> None:
        if digests:
            async with _answering():
                await self._redis.srem(_owner_key(login), *digests)

    def _open(self, digest: str, sealed: bytes | str | None) -> Login | None:
        return self._vault.open(digest, sealed) if isinstance(sealed, bytes) else None

    def _seconds_left(self, login: Login) -> int:
        left = (login.expires_at - self._clock.now()).total_seconds()
        return max(1, min(self._ages.idle, int(left)))

    def _remember(self, digest: str, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable("The store of logins does not answer.") from error


def _key(digest: str) -> str:
    return f"web:login:{digest}"


def _owner_key(login: Login) -> str:
    owner = hashlib.sha256(login.keypair.access_key.encode()).hexdigest()[:32]
    return f"web:logins:{owner}"


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
