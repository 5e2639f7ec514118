"""The background task that makes the images of registries and nodes known.

One tag that cannot be read does not stop the others: the task's last words name it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from backendai.common.clock import Clock
from backendai.common.faults import Fault, RegistryFault
from backendai.common.ids import IdSource
from backendai.common.logs import get_logger
from backendai.manager.db.engine import Database
from backendai.manager.tasks.model import Progress

from . import actions, store
from .distribution import Registry, RegistryReader
from .manifests import FoundImage
from .registries import Registries

log = get_logger(__name__)

# The name of the tasks.
RESCAN: Final = actions.RESCAN.name
# Names the images that nodes have, in place of a registry.
LOCAL: Final = "local"
READERS: Final = 4
PROBLEMS_TOLD_MAX: Final = 5


@dataclass(slots=True)
class _Tally:
    images: int = 0
    added: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def fail(self, what: str, fault: Fault) -> None:
        self.failed += 1
        if len(self.problems) < PROBLEMS_TOLD_MAX:
            self.problems.append(f"{what}: {fault.detail or fault.title}")

    def tell(self) -> str:
        """One sentence for people. Pure."""
        more = self.failed - len(self.problems)
        parts = [f"{self.images} images found, {self.added} of them new."]
        if self.failed:
            parts += [f"{self.failed} failed:", "; ".join(self.problems)]
            parts += [f"and {more} more"] if more else []
        return " ".join(parts)


class Rescan:
    """Params: `registry`, a hostname or `local`, null for all of them and the nodes; `project`, to
    look into that one alone."""

    def __init__(
        self, database: Database, registries: Registries, ids: IdSource, clock: Clock
    ) -> None:
        self._database = database
        self._registries = registries
        self._ids = ids
        self._clock = clock

    async def __call__(self, params: Mapping[str, Any], progress: Progress) -> str:
        """Raises RegistryFault when nothing was found and something failed."""
        tally = _Tally()
        hostname, project = params.get("registry"), params.get("project")
        for registry in await self._load(hostname):
            try:
                await self._scan(_narrowed(registry, project), tally, progress)
            except Fault as fault:
                log.warning("image.rescan_failed", registry=registry.hostname, cause=str(fault))
                tally.fail(registry.hostname, fault)
        if hostname in (None, LOCAL):
            await self._take_in_local(tally)
        if tally.failed and not tally.images:
            raise RegistryFault(tally.tell())
        await progress.tell(message=tally.tell())
        return tally.tell()

    async def _load(self, hostname: str | None) -> list[Registry]:
        if hostname == LOCAL:
            return []
        if hostname is not None:
            return [await self._database.read(lambda conn: self._registries.get(conn, hostname))]
        return list(await self._database.read(self._registries.list))

    async def _scan(self, registry: Registry, tally: _Tally, progress: Progress) -> None:
        async with RegistryReader(registry, self._clock) as reader:
            await progress.tell(message=f"Looking into {registry.hostname}")
            tags = []
            for repository in await reader.list_repositories():
                try:
                    found = await reader.list_tags(repository)
                except RegistryFault as fault:
                    tally.fail(f"{registry.hostname}/{repository}", fault)
                    continue
                tags += [(repository, tag) for tag in found]
                await progress.tell(more=len(found))
            waiting = iter(tags)
            async with asyncio.TaskGroup() as group:
                for number in range(READERS):
                    work = self._read_some(reader, waiting, tally, progress)
                    group.create_task(work, name=f"rescan:{registry.hostname}:{number}")

    async def _read_some(
        self,
        reader: RegistryReader,
        waiting: Iterator[tuple[str, str]],
        tally: _Tally,
        progress: Progress,
    ) -> None:
        for repository, tag in waiting:
            try:
                found = await reader.read_images(repository, tag)
                await self._keep(found, tally)
            except Fault as fault:
                tally.fail(f"{repository}:{tag}", fault)
            await progress.tell(done=1, message=f"{repository}:{tag}")

    async def _keep(self, found: list[FoundImage], tally: _Tally) -> None:
        added = await self._database.transact(lambda conn: store.take_in(conn, found, self._ids))
        tally.images += len(found)
        tally.added += added

    async def _take_in_local(self, tally: _Tally) -> None:
        known, added = await self._database.transact(store.take_in_local)
        tally.images += known
        tally.added += added


def _narrowed(registry: Registry, project: str | None) -> Registry:
    """Only one project of it."""
    return registry if project is None else replace(registry, projects=(project,))
