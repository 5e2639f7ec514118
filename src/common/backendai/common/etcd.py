"""The configuration store on etcd, under one namespace.

A watch lists, then watches from that revision; whatever ends or re-creates the stream (a restart, a
compaction, an expired token) makes it list again, so it needs no trust in how streams resume.
With several members the next one is asked as soon as one does not answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
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
from .settings.checks import HostPort
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
# A member without a majority ends its watches instead of falling silent.
_NEEDS_LEADER: Final = ("hasleader", "true")


class _Watches(WatchService):
    """Whose streams end at any trouble: it is `EtcdStore.watch` that begins again."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.set_token(None)

    def set_token(self, token: str | None) -> None:
        super().set_token(token)
        self._metadata = (*self._metadata, _NEEDS_LEADER)

    @staticmethod
    def _is_transient_error(exc: grpc.aio.AioRpcError) -> bool:
        return False


@dataclass
class _Member:
    """One server of the etcd. Nothing connects before the first call."""

    address: HostPort
    channel: grpc.aio.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = grpc.aio.insecure_channel(
            f"dns:///{self.address}", options=list(_CHANNEL_OPTIONS)
        )
        self.kv = KVService(self.channel, max_attempts=2)
        self.leases = LeaseService(self.channel, max_attempts=2)
        self.watches = _Watches(self.channel)
        self.auth = AuthService(self.channel, max_attempts=1)

    def set_token(self, token: str) -> None:
        for service in (self.kv, self.leases, self.watches):
            service.set_token(token)


class EtcdStore:
    """A ConfigStore. Connects at the first call, and again by itself."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._root = f"/{settings.namespace}/"
        self._members = tuple(_Member(address) for address in settings.members)
        self._member = self._members[0]

    async def close(self) -> None:
        for member in self._members:
            await member.channel.close()

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
        response = await self._call(
            lambda member: member.kv.get(self._full(key), timeout=TIMEOUT_SECONDS)
        )
        return response.kvs[0].value.decode("utf-8", "replace") if response.kvs else None

    async def get_prefix(self, prefix: str) -> Snapshot:
        pairs, _ = await self._list(prefix)
        return MappingProxyType(pairs)

    async def put(self, key: str, value: str, lease: LeaseId | None = None) -> None:
        await self._call(
            lambda member: member.kv.put(
                self._full(key), value, lease=lease or 0, timeout=TIMEOUT_SECONDS
            )
        )

    async def delete(self, key: str) -> bool:
        response = await self._call(
            lambda member: member.kv.delete(self._full(key), timeout=TIMEOUT_SECONDS)
        )
        return bool(response.deleted)

    async def delete_prefix(self, prefix: str) -> int:
        refuse_empty(prefix)
        start, end = self._range(prefix)
        response = await self._call(
            lambda member: member.kv.delete(start, range_end=end, timeout=TIMEOUT_SECONDS)
        )
        return int(response.deleted)

    async def swap(
        self, key: str, expected: str | None, value: str, lease: LeaseId | None = None
    ) -> bool:
        full = self._full(key)
        if expected is None:
            compare = KVService.txn_compare_create_revision(full, 0)
        else:
            compare = KVService.txn_compare_value(full, expected)
        put = KVService.txn_op_put(full, value, lease=lease or 0)
        # Tried once: a second try after a lost reply would take our own value for somebody else's.
        response = await self._call(
            lambda member: member.kv.txn([compare], [put], timeout=TIMEOUT_SECONDS, max_attempts=1),
            tries=1,
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
            lambda member: member.leases.grant(ttl_seconds, timeout=TIMEOUT_SECONDS)
        )
        return LeaseId(response.ID)

    async def refresh(self, lease: LeaseId) -> bool:
        async def keep_alive(member: _Member) -> bool:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                async for response in member.leases.keep_alive(lease):
                    return bool(response.TTL > 0)
            return False

        return await self._call(keep_alive)

    async def revoke(self, lease: LeaseId) -> None:
        try:
            await self._call(lambda member: member.leases.revoke(lease, timeout=TIMEOUT_SECONDS))
        except Conflict:
            log.debug("config.lease_gone_already", lease=lease)

    async def _list(self, prefix: str) -> tuple[dict[str, str], int]:
        start, end = self._range(prefix)
        response = await self._call(
            lambda member: member.kv.get(start, range_end=end, timeout=TIMEOUT_SECONDS)
        )
        pairs = {self._relative(kv.key): kv.value.decode("utf-8", "replace") for kv in response.kvs}
        return dict(sorted(pairs.items())), response.header.revision

    async def _changes(
        self, prefix: str, pairs: dict[str, str], revision: int
    ) -> AsyncGenerator[Snapshot, None]:
        """Snapshots after `revision`; ends when only listing again can tell the truth."""
        start, end = self._range(prefix)
        is_created = False
        member = self._member
        stream: Any = member.watches.watch(start, end, start_revision=revision + 1)
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
            raise _fault_of(member, error) from error

    def _apply(self, events: Any, pairs: dict[str, str]) -> None:
        for event in events:
            key = self._relative(event.kv.key)
            if event.type == event.DELETE:
                pairs.pop(key, None)
            else:
                pairs[key] = event.kv.value.decode("utf-8", "replace")

    async def _call(
        self, call: Callable[[_Member], Awaitable[T]], *, tries: int | None = None
    ) -> T:
        """The reply of the first member that gives one; each is asked once, or `tries` of them."""
        await failpoint("etcd.before_call")
        reply = await self._ask(call, tries or len(self._members))
        await failpoint("etcd.after_call")
        return reply

    async def _ask(self, call: Callable[[_Member], Awaitable[T]], tries: int) -> T:
        member = self._member
        try:
            return await self._call_with_token(member, call)
        except (EtcdError, grpc.RpcError, TimeoutError) as error:
            fault = _fault_of(member, error)
            if isinstance(fault, StoreUnavailable):
                self._leave(member)
            if tries == 1 or not isinstance(fault, StoreUnavailable):
                raise fault from error
        return await self._ask(call, tries - 1)

    def _leave(self, member: _Member) -> None:
        """Ask the next one from now on, unless another call has gone on to it already."""
        if self._member is member and len(self._members) > 1:
            index = self._members.index(member) + 1
            self._member = self._members[index % len(self._members)]
            log.warning("config.member_left", member=str(member.address))

    async def _call_with_token(self, member: _Member, call: Callable[[_Member], Awaitable[T]]) -> T:
        """Call, logging in first when etcd knows no valid token of ours."""
        try:
            return await call(member)
        except (EtcdError, grpc.RpcError) as error:
            if self._settings.user is None or not _is_token_trouble(error):
                raise
        response = await member.auth.authenticate(
            self._settings.user, self._settings.password, timeout=TIMEOUT_SECONDS
        )
        member.set_token(response.token)
        return await call(member)

    def _full(self, key: str) -> str:
        return self._root + key

    def _range(self, prefix: str) -> tuple[str, bytes]:
        return self._full(prefix), prefix_range_end(self._full(prefix))

    def _relative(self, key: bytes) -> str:
        return key.decode("utf-8").removeprefix(self._root)


def _fault_of(
    member: _Member, error: Exception
) -> StoreUnavailable | ServerMisconfigured | Conflict:
    if isinstance(error, EtcdPermissionDeniedError | EtcdUnauthenticatedError):
        return ServerMisconfigured(f"etcd at {member.address} refuses us: {error}")
    if isinstance(error, grpc.aio.AioRpcError):
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return Conflict("the lease is gone")
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            return ServerMisconfigured(f"etcd at {member.address} refuses us: {error.details()}")
    return StoreUnavailable(f"etcd at {member.address} does not answer")


def _is_token_trouble(error: Exception) -> bool:
    text = str(error).lower()
    return any(words in text for words in _TOKEN_TROUBLE)
