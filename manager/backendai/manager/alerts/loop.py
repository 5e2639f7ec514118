"""The loops that look for what is wrong and tell of it. One manager at a time does it, by a lease.

Each look reads the level, and what was told is kept in the database: a manager that is restarted,
or goes on for another one, repeats nothing that was noted as told.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import Fault, StoreUnavailable
from backendai.common.logs import get_logger
from backendai.manager.callbacks.model import pause_after
from backendai.manager.db.engine import Database
from backendai.manager.idle.loop import Turn
from backendai.manager.vfolders.proxies import Proxies
from backendai.manager.vfolders.scopes import scope_usage

from . import facts, store
from .facts import Limits, OwnedScope, Space
from .model import AlertKind, Hold, Kept, Look, Message, decide
from .post import Targets

log = get_logger(__name__)

LOOK_SECONDS: Final = 10.0
# Between two looks. After a longer gap this manager was frozen, or without the database, and nodes
# that were not silent look so.
GAP_SECONDS_MAX: Final = 3 * LOOK_SECONDS
_NEVER: Final = float("-inf")
TELL_SECONDS: Final = 2.0
# Every volume and quota scope is asked by the network.
STORAGE_SECONDS: Final = 300.0
FORGET_SECONDS: Final = 3600.0
LEASE_NAME: Final = "alerts"
LEASE_SECONDS: Final = 30.0
MESSAGES_AT_ONCE: Final = 8
SCOPES_AT_ONCE: Final = 4
T = TypeVar("T")
Step: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
_OF_STORAGE: Final = (AlertKind.DISK_NEAR_FULL, AlertKind.QUOTA_NEAR)


class AlertWatch:
    """Looks, decides, keeps, tells."""

    def __init__(
        self,
        database: Database,
        proxies: Proxies,
        targets: Targets,
        turn: Turn,
        clock: Clock,
        limits: Limits,
        hold: Hold,
    ) -> None:
        self._database = database
        self._proxies = proxies
        self._targets = targets
        self._turn = turn
        self._clock = clock
        self._limits = limits
        self._hold = hold
        self._storage: Look | None = None
        self._looked_at = _NEVER
        self._listens_since = _NEVER

    async def step(self) -> None:
        """One look at everything but the storage, whose last look counts. Raises
        StoreUnavailable."""
        try:
            await self._look()
        except StoreUnavailable:
            self._looked_at = _NEVER
            raise

    async def _look(self) -> None:
        found = await self._database.read(_load) if await self._turn.is_held() else None
        has_listened = self._has_listened()
        if found is None:
            return
        now = self._clock.now()
        agents, holders, kept = found
        open_keys = frozenset(one.key for one in kept)
        unlooked = Look({}, [key for key in open_keys if key.kind in _OF_STORAGE])
        look = facts.join(
            [
                facts.judge_agents(agents, self._limits, open_keys, has_listened=has_listened),
                facts.judge_disks(agents, self._limits, open_keys),
                facts.judge_accelerators(holders, now),
                self._storage or unlooked,
            ]
        )
        changes = decide(kept, look, self._hold, now)
        names = self._targets.names
        told = await self._database.transact(
            lambda conn: store.write(conn, changes, look, names, now)
        )
        for change, key in told:
            detail = look.wrong.get(key, "")
            facts_of = {"kind": key.kind.value, "subject": key.subject, "detail": detail}
            log.info("alert.changed", change=change.value, **facts_of)

    def _has_listened(self) -> bool:
        """Whether nodes could be heard, without a gap, for as long as they may be silent."""
        now = self._clock.monotonic()
        if now - self._looked_at > GAP_SECONDS_MAX:
            self._listens_since = now
        self._looked_at = now
        return now - self._listens_since >= self._limits.silent_seconds

    async def look_at_storage(self) -> None:
        """Ask how full every volume and quota scope is. Raises StoreUnavailable."""
        if not await self._turn.is_held():
            self._storage = None
            return
        scopes, kept = await self._database.read(_load_scopes)
        open_keys = frozenset(one.key for one in kept)
        places = asyncio.Semaphore(SCOPES_AT_ONCE)
        names = sorted(self._proxies.config.proxies)
        listed = await _all(map(self._list, names))
        silent = {name for name, hosts in zip(names, listed, strict=True) if hosts is None}
        hosts = [host for found in listed for host in found or ()]
        volumes = await _all(self._ask_volume(places, host) for host in hosts)
        disks = [key.subject for key in open_keys if key.kind is AlertKind.DISK_NEAR_FULL]
        unasked = [disk for disk in disks if _proxy_of(disk) in silent]
        away = [scope.name for scope in scopes if _proxy_of(scope.host) in silent]
        known = [scope for scope in scopes if _proxy_of(scope.host) not in silent]
        spaces = await _all(self._ask_scope(places, scope) for scope in known)
        disk, quota, limits = AlertKind.DISK_NEAR_FULL, AlertKind.QUOTA_NEAR, self._limits
        self._storage = facts.join(
            [
                facts.judge_spaces(disk, "Volume", [*volumes, *unasked], limits, open_keys),
                facts.judge_spaces(quota, "Space of", [*spaces, *away], limits, open_keys),
            ]
        )

    @property
    def tellers(self) -> Mapping[str, Step]:
        """Target -> the step of a loop that tells it what is due: nobody waits for another one."""
        return {name: partial(self._tell_due, name) for name in self._targets.names}

    async def forget(self) -> None:
        """Drop what ended long ago."""
        names = self._targets.names
        await self._database.put(lambda conn: store.forget_old(conn, names))

    async def _tell_due(self, target: str) -> None:
        """Raises StoreUnavailable."""
        if not await self._turn.is_held():
            return
        now = self._clock.now()
        due = await self._database.read(
            lambda conn: store.load_messages(conn, now, target, MESSAGES_AT_ONCE)
        )
        for message in due:
            await self._tell(message)

    async def _tell(self, message: Message) -> None:
        [why] = (await self._targets.try_all([message])).values()
        attempts = message.attempts + 1
        pause = pause_after(attempts) if why else None
        if pause is not None:
            later = self._clock.now() + timedelta(seconds=pause)
            await self._database.put(lambda conn: store.note_failed(conn, message, later))
            return
        if why:
            log.error("alert.given_up", alert=message.alert.id, target=message.target, why=why)
        await self._database.put(lambda conn: store.note_told(conn, message))

    async def _list(self, proxy: str) -> list[str] | None:
        """The hosts of a proxy; None while it does not answer."""
        try:
            volumes = await self._proxies.list_volumes(proxy)
        except Fault:
            return None
        return [f"{proxy}:{volume.name}" for volume in volumes]

    async def _ask_volume(self, places: asyncio.Semaphore, host: str) -> Space | str:
        async with places:
            try:
                usage = await self._proxies.volume_usage(host)
            except Fault:
                return host
        return Space(host, usage.used_bytes, usage.capacity_bytes)

    async def _ask_scope(self, places: asyncio.Semaphore, scope: OwnedScope) -> Space | str:
        async with places:
            try:
                usage = await scope_usage(self._proxies, scope.host, scope.id)
            except Fault:
                return scope.name
        return Space(scope.name, usage.used_bytes, usage.limit_bytes)


def _proxy_of(host: str) -> str:
    return host.partition(":")[0]


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each of them returned."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work, name="alerts-storage") for work in works]
    return [task.result() for task in tasks]


async def _load(
    conn: AsyncConnection,
) -> tuple[list[facts.AgentFact], list[facts.SessionFact], list[Kept]]:
    return (
        await store.load_agents(conn),
        await store.load_holders(conn),
        await store.load_kept(conn),
    )


async def _load_scopes(conn: AsyncConnection) -> tuple[list[OwnedScope], list[Kept]]:
    return await store.load_scopes(conn), await store.load_kept(conn)
