"""Making one end have what the other has, copying only what changed."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backendai.client.faults import BadUsage, LocalFileFailed
from backendai.client.vfolders.fetching import digest_file
from backendai.client.vfolders.moving import PARALLEL, OnProgress, for_each, run_moves
from backendai.client.vfolders.plan import SyncPlan, plan_sync, to_compare
from backendai.client.vfolders.transfers import Transfers, delete_local, make_local
from backendai.client.vfolders.trees import (
    TOP,
    Entry,
    Kind,
    Tree,
    clean,
    join,
    look_at,
    read_local,
)
from backendai.common.faults import FileNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRule:
    """`deletes` what the source has not; `by_content` reads files of the same size at both ends
    in place of looking at their times; `is_dry` only plans."""

    deletes: bool = False
    by_content: bool = False
    is_dry: bool = False


PLAIN: Final = SyncRule()


@dataclass(frozen=True, slots=True)
class _Ends:
    """Two directories, and what is in them."""

    here: Path
    folder: str
    there: str
    local: dict[str, Entry]
    remote: dict[str, Entry]

    def at(self, path: str) -> str:
        """In the folder."""
        return join(self.there, path)


class Syncs(Transfers):
    async def sync_up(
        self,
        source: Path | str,
        folder: str,
        path: str = TOP,
        *,
        rule: SyncRule = PLAIN,
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> SyncPlan:
        """Make the directory `path` have what the local directory `source` has. Returns what that
        took. Raises BadUsage where `source` is no directory, and as `plan_sync`."""
        here = Path(source)
        entry = await asyncio.to_thread(look_at, here)
        if entry is None or entry.kind is not Kind.DIRECTORY:
            raise BadUsage(f"{here} is no directory.")
        remote = await self._read_target(folder, clean(path), parallel)
        ends = _Ends(here, folder, clean(path), await read_local(here), remote)
        plan = await self._plan(ends, ends.local, ends.remote, rule, parallel)
        if not rule.is_dry:
            await self._send_up(ends, plan, parallel, on_progress)
        return plan

    async def sync_down(
        self,
        folder: str,
        path: str,
        target: Path | str,
        *,
        rule: SyncRule = PLAIN,
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> SyncPlan:
        """Make the local directory `target` have what the directory `path` has. Returns what that
        took. Raises FileNotFound where `path` is nothing, and as `plan_sync`."""
        here, there = Path(target), clean(path)
        remote = await self._read_remote(folder, there, parallel)
        ends = _Ends(here, folder, there, await read_local(here), remote)
        plan = await self._plan(ends, ends.remote, ends.local, rule, parallel)
        if not rule.is_dry:
            await self._fetch_down(ends, plan, parallel, on_progress)
        return plan

    async def _send_up(
        self, ends: _Ends, plan: SyncPlan, parallel: int, on_progress: OnProgress | None
    ) -> None:
        moves = [
            self._sending(ends.folder, ends.here / path, ends.at(path), path, ends.local[path])
            for path in plan.copies
        ]
        await self._delete(ends, plan.replaced)
        await self._make(ends.folder, [ends.there, *map(ends.at, plan.directories)])
        await run_moves(moves, parallel=parallel, on_progress=on_progress)
        await self._delete(ends, plan.deletions)

    async def _fetch_down(
        self, ends: _Ends, plan: SyncPlan, parallel: int, on_progress: OnProgress | None
    ) -> None:
        moves = [
            self._fetching(ends.folder, ends.at(path), ends.here / path, path, ends.remote[path])
            for path in plan.copies
        ]
        await delete_local([ends.here / path for path in plan.replaced])
        await make_local([ends.here, *(ends.here / path for path in plan.directories)])
        await run_moves(moves, parallel=parallel, on_progress=on_progress)
        await delete_local([ends.here / path for path in plan.deletions])

    async def _plan(
        self, ends: _Ends, source: Tree, target: Tree, rule: SyncRule, parallel: int
    ) -> SyncPlan:
        same = None
        if rule.by_content:
            same = await self._find_same(ends, to_compare(source, target), parallel)
        return plan_sync(source, target, deletes=rule.deletes, same=same)

    async def _find_same(self, ends: _Ends, paths: Sequence[str], parallel: int) -> frozenset[str]:
        """Those whose content is the same at both ends."""
        same: set[str] = set()

        async def compare(path: str) -> None:
            if await self._digest(ends, path) == await _digest_local(ends.here / path):
                same.add(path)

        await for_each(paths, compare, parallel=parallel)
        return frozenset(same)

    async def _digest(self, ends: _Ends, path: str) -> bytes:
        return await digest_file(
            self._proxy(),
            lambda: self.begin_download(ends.folder, ends.at(path)),
            self._patience(),
        )

    async def _delete(self, ends: _Ends, paths: Sequence[str]) -> None:
        await self.delete_files(ends.folder, [*map(ends.at, paths)], recursive=True)

    async def _read_target(self, folder: str, path: str, parallel: int) -> dict[str, Entry]:
        """Of a directory that is not there yet, nothing."""
        try:
            return await self._read_remote(folder, path, parallel)
        except FileNotFound:
            return {}


async def _digest_local(path: Path) -> bytes:
    """SHA-256. Raises LocalFileFailed."""

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise LocalFileFailed.of(error, path) from error

    return await asyncio.to_thread(read)
