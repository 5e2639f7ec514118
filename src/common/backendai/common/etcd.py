"""The configuration store on etcd, under one namespace.

A watch lists, then watches from that revision; whatever ends or re-creates the stream (a restart, a
compaction, an expired token) makes it list again, so it needs no trust in how streams resume.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
import grpc.aio
from etcd3aio import (
    EtcdError,
    EtcdPermissionDeniedError,
    EtcdUnauthenticatedError,
    prefix_range_end,
)
from etcd3aio.auth import AuthService
from etcd3aio.kv import KVService
from etcd3aio.lease import LeaseService
from etcd3aio.watch import WatchService

from .config import LeaseId, Snapshot, refuse_empty
from .failpoints import failpoint
from .faults import Conflict, ServerMisconfigured, StoreUnavailable
from .logs import get_logger
from .settings.sections import EtcdSettings

log = get_logger(__name__)

T = TypeVar("T")
TIMEOUT_SECONDS: Final = 5.0
RELIST_SECONDS: Final = 0.5
_CHANNEL_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", True),
    # The default lets a client wait two minutes before it looks whether etcd is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_TOKEN_TROUBLE: Final = ("invalid auth token", "user name is empty")


class EtcdStore:
    """A ConfigStore. Connects at the first call, and again by itself."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._root = f"/{settings.namespace}/"
        self._address = str(settings.addr)
        options = list(_CHANNEL_OPTIONS)
        self._channel = grpc.aio.insecure_channel(f"dns:///{self._address}", options=options)
        self._kv = KVService(self._channel, max_attempts=2)
        self._leases = LeaseService(self._channel, max_attempts=2)
        self._watches = WatchService(self._channel, max_reconnect_backoff_seconds=1.0)
        self._auth = AuthService(self._channel, max_attempts=1)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def get(self, key: str) -> str | None:
        response = await self._call(lambda: self._kv.get(self._full(key), timeout=TIMEOUT_SECONDS))
        return response.kvs[0].value.decode("utf-8", "replace") if response.kvs else None

    async def get_prefix(self, prefix: str) -> Snapshot:
        pairs, _ = await self._list(prefix)
        return MappingProxyType(pairs)

    async def put(self, key: str, value: str, lease: LeaseId | None = None) -> None:
        await self._call(
            lambda: self._kv.put(self._full(key), value, lease=lease or 0, timeout=TIMEOUT_SECONDS)
        )

    async def delete(self, key: str) -> bool:
        response = await self._call(
            lambda: self._kv.delete(self._full(key), timeout=TIMEOUT_SECONDS)
        )
        return bool(response.deleted)

    async def delete_prefix(self, prefix: str) -> int:
        refuse_empty(prefix)
        start, end = self._range(prefix)
        response = await self._call(
            lambda: self._kv.delete(start, range_end=end, timeout=TIMEOUT_SECONDS)
        )
        return int(response.deleted)

    async def swap(
        self, key: str, expected: str | None, value: str, lease: LeaseId | None = None
    ) -> bool:
        full = self._full(key)
        if expected is None:
            compare = self._kv.txn_compare_create_revision(full, 0)
        else:
            compare = self._kv.txn_compare_value(full, expected)
        put = self._kv.txn_op_put(full, value, lease=lease or 0)
        # Tried once: a second try after a lost reply would take our own value for somebody else's.
        response = await self._call(
            lambda: self._kv.txn([compare], [put], timeout=TIMEOUT_SECONDS, max_attempts=1)
        )
        return bool(response.succeeded)

    async def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        last: Snapshot | None = None
        while True:
            try:
                pairs, revision = await self._list(prefix)
                if pairs != last:
                    last = MappingProxyType(dict(pairs))
                    yield last
                async with aclosing(self._changes(prefix, pairs, revision)) as changes:
                    async for changed in changes:
                        if changed != last:
                            last = changed
                            yield last
            except StoreUnavailable as fault:
                log.warning("config.watch_waits", prefix=prefix, detail=fault.detail)
            await asyncio.sleep(RELIST_SECONDS)

    async def grant(self, ttl_seconds: int) -> LeaseId:
        response = await self._call(
            lambda: self._leases.grant(ttl_seconds, timeout=TIMEOUT_SECONDS)
        )
        return LeaseId(response.ID)

    async def refresh(self, lease: LeaseId) -> bool:
        async def keep_alive() -> bool:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                async for response in self._leases.keep_alive(lease):
                    return bool(response.TTL > 0)
            return False

        return await self._call(keep_alive)

    async def revoke(self, lease: LeaseId) -> None:
        try:
            await self._call(lambda: self._leases.revoke(lease, timeout=TIMEOUT_SECONDS))
        except Conflict:
            log.debug("config.lease_gone_already", lease=lease)

    async def _list(self, prefix: str) -> tuple[dict[str, str], int]:
        start, end = self._range(prefix)
        response = await self._call(
            lambda: self._kv.get(start, range_end=end, timeout=TIMEOUT_SECONDS)
        )
        pairs = {self._relative(kv.key): kv.value.decode("utf-8", "replace") for kv in response.kvs}
        return dict(sorted(pairs.items())), response.header.revision

    async def _changes(
        self, prefix: str, pairs: dict[str, str], revision: int
    ) -> AsyncGenerator[Snapshot, None]:
        """Snapshots after `revision`; ends when only listing again can tell the truth."""
        start, end = self._range(prefix)
        is_created = False
        stream: Any = self._watches.watch(start, end, start_revision=revision + 1)
        try:
            async with aclosing(stream) as responses:
                async for response in responses:
                    if response.canceled or (response.created and is_created):
                        return
                    is_created = is_created or response.created
                    if response.events:
                        self._apply(response.events, pairs)
                        yield MappingProxyType(dict(sorted(pairs.items())))
        except (EtcdError, grpc.RpcError, TimeoutError) as error:
            raise self._fault_of(error) from error

    def _apply(self, events: Any, pairs: dict[str, str]) -> None:
        for event in events:
            key = self._relative(event.kv.key)
            if event.type == event.DELETE:
                pairs.pop(key, None)
            else:
                pairs[key] = event.kv.value.decode("utf-8", "replace")

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        await failpoint("etcd.before_call")
        try:
            reply = await self._call_with_token(call)
        except (EtcdError, grpc.RpcError, TimeoutError) as error:
            raise self._fault_of(error) from error
        await failpoint("etcd.after_call")
        return reply

    async def _call_with_token(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call, logging in first when etcd knows no valid token of ours."""
        try:
            return await call()
        except (EtcdError, grpc.RpcError) as error:
            if self._settings.user is None or not _is_token_trouble(error):
                raise
        response = await self._auth.authenticate(
            self._settings.user, self._settings.password, timeout=TIMEOUT_SECONDS
        )
        for service in (self._kv, self._leases, self._watches):
            service.set_token(response.token)
        return await call()

    def _fault_of(self, error: Exception) -> StoreUnavailable | ServerMisconfigured | Conflict:
        if isinstance(error, EtcdPermissionDeniedError | EtcdUnauthenticatedError):
            return ServerMisconfigured(f"etcd at {self._address} refuses us: {error}")
        if isinstance(error, grpc.aio.AioRpcError):
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return Conflict("the lease is gone")
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return ServerMisconfigured(f"etcd at {self._address} refuses us: {error.details()}")
        return StoreUnavailable(f"etcd at {self._address} does not answer")

    def _full(self, key: str) -> str:
        return self._root + key

    def _range(self, prefix: str) -> tuple[str, bytes]:
        return self._full(prefix), prefix_range_end(self._full(prefix))

    def _relative(self, key: bytes) -> str:
        return key.decode("utf-8").removeprefix(self._root)


def _is_token_trouble(error: Exception) -> bool:
    text = str(error).lower()
    return any(words in text for words in _TOKEN_TROUBLE)
