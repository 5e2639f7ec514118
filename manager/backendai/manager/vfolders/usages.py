"""How much is in folders, as their storage proxies counted it: remembered, and asked for with care.

Whoever looks at one folder has it counted now. Lists take what was counted a short while ago, have
the rest counted few at a time, and wait no longer than a moment.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from backendai.common.clock import Clock
from backendai.common.faults import Fault
from backendai.common.logs import get_logger

from .model import Folder, FolderStatus
from .proxies import GLANCE_SECONDS, FolderUsage, Proxies

log = get_logger(__name__)

FRESH: Final = timedelta(seconds=60)
KEPT_MAX: Final = 10_000
# Of one list, and of all lists together.
ASKED_MAX: Final = 100
AT_ONCE: Final = 8
LIST_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class CountedUsage:
    """`at` is when this manager was told."""

    usage: FolderUsage
    at: datetime


class FolderUsages:
    def __init__(self, proxies: Proxies, clock: Clock) -> None:
        self._proxies = proxies
        self._clock = clock
        self._known: dict[UUID, CountedUsage] = {}
        # Hosts that lists leave alone for a while, since they did not tell.
        self._silent: dict[str, datetime] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def find(self, folder: Folder) -> CountedUsage | None:
        """Counted now; where its proxy does not tell soon what was counted last, or None."""
        if _is_counted(folder):
            await self._ask(folder)
        return self._known.get(folder.id)

    async def find_several(self, folders: Iterable[Folder]) -> Mapping[UUID, CountedUsage]:
        """Of a list, by the ids of folders; what nobody tells in time is left out."""
        counted = [folder for folder in folders if _is_counted(folder)]
        asked = [folder for folder in counted if self._is_due(folder)][:ASKED_MAX]
        try:
            async with asyncio.timeout(LIST_SECONDS), asyncio.TaskGroup() as group:
                for folder in asked:
                    group.create_task(self._ask_in_turn(folder), name=f"usage {folder.id}")
        except TimeoutError:
            late = {folder.host for folder in asked if not self._is_fresh(folder)}
            self._silent |= dict.fromkeys(late, self._clock.now())
            log.info("vfolder.usages_late", hosts=sorted(late))
        return {folder.id: self._known[folder.id] for folder in counted if folder.id in self._known}

    async def _ask_in_turn(self, folder: Folder) -> None:
        async with self._places:
            if self._is_due(folder):
                await self._ask(folder)

    async def _ask(self, folder: Folder) -> None:
        try:
            usage = await self._proxies.usage(folder, GLANCE_SECONDS)
        except Fault as fault:
            self._silent[folder.host] = self._clock.now()
            log.info("vfolder.usage_unknown", folder=str(folder.id), code=fault.code)
            return
        self._known.pop(folder.id, None)
        self._known[folder.id] = CountedUsage(usage, self._clock.now())
        if len(self._known) > KEPT_MAX:
            del self._known[next(iter(self._known))]

    def _is_due(self, folder: Folder) -> bool:
        silent_at = self._silent.get(folder.host)
        is_silent = silent_at is not None and self._clock.now() - silent_at < FRESH
        return not is_silent and not self._is_fresh(folder)

    def _is_fresh(self, folder: Folder) -> bool:
        known = self._known.get(folder.id)
        return known is not None and self._clock.now() - known.at < FRESH


def _is_counted(folder: Folder) -> bool:
    return not folder.is_unmanaged and folder.status is FolderStatus.READY
