"""Cluster-wide configuration: what every store of it can do, and a cache for when it is away.

Keys are relative to the cluster's namespace. Watches deliver levels, not edges: a whole snapshot
now and after each change, so nothing missed in between can matter. Nothing here protects data: a
lock is a hint.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType
from typing import NewType, Protocol

import msgspec

from .clock import Clock
from .faults import Conflict, StoreUnavailable
from .logs import get_logger

log = get_logger(__name__)

Snapshot = Mapping[str, str]
LeaseId = NewType("LeaseId", int)


class ConfigStore(Protocol):
    """Every method but `watch` raises StoreUnavailable when the store does not answer in time."""

    async def get(self, key: str) -> str | None: ...

    async def get_prefix(self, prefix: str) -> Snapshot:
        """All pairs whose key begins with `prefix`, by their full key."""
        ...

    async def put(self, key: str, value: str, lease: LeaseId | None = None) -> None:
        """With a lease the key vanishes with it. Raises Conflict when the lease is gone."""
        ...

    async def delete(self, key: str) -> bool:
        """Whether there was something to delete."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """How many keys were deleted. The empty prefix is a ValueError."""
        ...

    async def swap(
        self, key: str, expected: str | None, value: str, lease: LeaseId | None = None
    ) -> bool:
        """Put `value` only where `expected` is (None: where nothing is); whether it was."""
        ...

    def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        """The snapshot of `prefix` now and after each change, for ever.

        It outlives restarts and compaction of the store; changes may be merged.
        """
        ...

    async def grant(self, ttl_seconds: int) -> LeaseId: ...

    async def refresh(self, lease: LeaseId) -> bool:
        """Give the lease its whole time again; False when it is gone."""
        ...

    async def revoke(self, lease: LeaseId) -> None:
        """End the lease and its keys now."""
        ...


class MemoryStore:
    """A store in this process, for simulations and tests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pairs: dict[str, tuple[str, LeaseId | None]] = {}
        self._leases: dict[LeaseId, tuple[int, float]] = {}
        self._leases_granted = 0
        self._watchers: set[asyncio.Event] = set()
        self.is_away = False

    async def get(self, key: str) -> str | None:
        self._settle()
        pair = self._pairs.get(key)
        return pair[0] if pair is not None else None

    async def get_prefix(self, prefix: str) -> Snapshot:
        self._settle()
        return self._snapshot(prefix)

    async def put(self, key: str, value: str, lease: LeaseId | None = None) -> None:
        self._settle()
        if lease is not None and lease not in self._leases:
            raise Conflict(f"the lease of {key} is gone")
        self._pairs[key] = (value, lease)
        self._tell()

    async def delete(self, key: str) -> bool:
        self._settle()
        found = self._pairs.pop(key, None) is not None
        self._tell()
        return found

    async def delete_prefix(self, prefix: str) -> int:
        refuse_empty(prefix)
        keys = list(await self.get_prefix(prefix))
        for key in keys:
            del self._pairs[key]
        self._tell()
        return len(keys)

    async def swap(
        self, key: str, expected: str | None, value: str, lease: LeaseId | None = None
    ) -> bool:
        if await self.get(key) != expected:
            return False
        await self.put(key, value, lease)
        return True

    async def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        changed = asyncio.Event()
        self._watchers.add(changed)
        last: Snapshot | None = None
        try:
            while True:
                changed.clear()
                snapshot = self._snapshot(prefix)
                if snapshot != last and not self.is_away:
                    last = snapshot
                    yield snapshot
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def grant(self, ttl_seconds: int) -> LeaseId:
        self._settle()
        self._leases_granted += 1
        lease = LeaseId(self._leases_granted)
        self._leases[lease] = (ttl_seconds, self._clock.monotonic() + ttl_seconds)
        return lease

    async def refresh(self, lease: LeaseId) -> bool:
        self._settle()
        if lease not in self._leases:
            return False
        ttl, _ = self._leases[lease]
        self._leases[lease] = (ttl, self._clock.monotonic() + ttl)
        return True

    async def revoke(self, lease: LeaseId) -> None:
        self._settle()
        self._end(lease)

    def wake(self) -> None:
        """Let watchers see what time alone changed, or that the store came back."""
        self._expire()
        self._tell()

    def _snapshot(self, prefix: str) -> Snapshot:
        pairs = {key: self._pairs[key][0] for key in sorted(self._pairs) if key.startswith(prefix)}
        return MappingProxyType(pairs)

    def _settle(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the configuration store does not answer")
        self._expire()

    def _expire(self) -> None:
        at = self._clock.monotonic()
        for lease in [lease for lease, (_, until) in self._leases.items() if until <= at]:
            self._end(lease)

    def _end(self, lease: LeaseId) -> None:
        self._leases.pop(lease, None)
        for key in [key for key, (_, owner) in self._pairs.items() if owner == lease]:
            del self._pairs[key]
        self._tell()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed.set()


class CachedConfig:
    """Configuration under `prefix`, with the last known values in a file that only we may read."""

    def __init__(self, store: ConfigStore, prefix: str, path: Path) -> None:
        self._store = store
        self._prefix = prefix
        self._path = path

    async def load(self) -> Snapshot:
        """What the store says, else what it said last. Raises StoreUnavailable with neither."""
        try:
            snapshot = await self._store.get_prefix(self._prefix)
        except StoreUnavailable as fault:
            cached = self._read()
            if cached is None:
                raise
            log.warning("config.cached_values_used", path=str(self._path), detail=fault.detail)
            return cached
        self._write(snapshot)
        return snapshot

    async def follow(self) -> AsyncGenerator[Snapshot, None]:
        """As the store's watch; each snapshot is cached before it is given."""
        async with aclosing(self._store.watch(self._prefix)) as snapshots:
            async for snapshot in snapshots:
                self._write(snapshot)
                yield snapshot

    def _read(self) -> Snapshot | None:
        try:
            data = self._path.read_bytes()
            return msgspec.json.decode(data, type=dict[str, str])
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("config.cache_unreadable", path=str(self._path), cause=repr(error))
            return None

    def _write(self, snapshot: Snapshot) -> None:
        """Replace the file whole. A full disk costs the cache, not the daemon."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._path.parent, prefix=".config-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(dict(snapshot)))
            Path(draft).replace(self._path)
        except OSError as error:
            log.warning("config.cache_not_written", path=str(self._path), cause=repr(error))


def refuse_empty(prefix: str) -> None:
    if not prefix:
        raise ValueError("an empty prefix would delete everything")
