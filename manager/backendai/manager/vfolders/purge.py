"""Deletes the files of folders for ever, and looks after folders that something left unfinished."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import Conflict, Fault, Kind, VFolderNotFound
from backendai.common.logs import get_logger
from backendai.common.pauses import GrowingPause
from backendai.manager.audit.change import Change
from backendai.manager.db.engine import Database
from backendai.manager.tasks.model import Progress
from backendai.manager.tasks.saving import save_surely
from backendai.manager.tasks.store import list_live, load_last_ends

from . import store
from .clone import CLONE_FOLDER
from .creation import PURGE_FOLDER, queue_purge
from .model import PATIENCE_SECONDS, Folder, FolderEvent, FolderStatus
from .proxies import Proxies

log = get_logger(__name__)

ATTEMPTS_MAX: Final = 3
RETRY_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 10.0
# A host that is away must not take all the tasks that managers run at a time.
RESUMED_MAX: Final = 4
# Each try is a task that its owner sees.
PAUSE: Final = GrowingPause(share=0.25, seconds_min=LOOK_SECONDS, seconds_max=3600.0)


class PurgeWork:
    """The work of a purge task, which may be begun again: what is gone already stays so."""

    def __init__(self, database: Database, proxies: Proxies, clock: Clock) -> None:
        self._database = database
        self._proxies = proxies
        self._clock = clock

    async def __call__(self, params: Mapping[str, Any], progress: Progress) -> str:
        folder_id = UUID(params["folder_id"])
        try:
            folder = await self._database.read(lambda conn: store.get_folder(conn, folder_id))
        except VFolderNotFound:
            return "The folder is gone."
        if folder.status is not FolderStatus.DELETING:
            return f"{folder.name} is {folder.status.value}; nothing is deleted."
        await progress.tell(more=1, message=f"{folder.host or 'Nobody'} deletes {folder.name}")
        # What others keep in a directory of nodes is theirs.
        if not folder.is_unmanaged:
            await self._delete(folder)
        await save_surely(
            self._database, self._clock, lambda conn: self._end(conn, folder), folder=folder.name
        )
        await progress.tell(done=1)
        left = f"; {folder.unmanaged_path} stays as it is" if folder.is_unmanaged else ""
        return f"{folder.name} is deleted for ever{left}."

    async def _delete(self, folder: Folder) -> None:
        """A few times; after that another task begins with it, later. Raises Conflict for a host
        that is not configured any more."""
        if not self._proxies.knows(folder.host):
            raise Conflict(
                f"The storage host {folder.host} is not configured any more: its files are deleted "
                "when it is again, or a superadmin abandons the folder "
                f"(backendai vfolder abandon {folder.id.hex}).",
                {"host": folder.host},
            )
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._proxies.delete(folder)
            except Fault as fault:
                if fault.kind is not Kind.UNAVAILABLE or attempt == ATTEMPTS_MAX:
                    raise
                await self._clock.sleep(RETRY_SECONDS * attempt)
            else:
                return

    async def _end(self, conn: AsyncConnection, folder: Folder) -> None:
        try:
            present = await store.get_folder(conn, folder.id, lock=True)
        except VFolderNotFound:
            return
        await store.move_folder(conn, present, FolderEvent.PURGED, self._clock.now())


class FolderWatch:
    """Brings every folder that waits for longer than it should to an end, but for those on hosts
    that are not configured any more. Any number of managers may look at a time."""

    def __init__(self, database: Database, proxies: Proxies, clock: Clock) -> None:
        self._database = database
        self._proxies = proxies
        self._clock = clock

    async def step(self) -> None:
        await self._database.transact(self._settle)

    async def _settle(self, conn: AsyncConnection) -> None:
        for folder in await self._overdue(conn, FolderStatus.PERFORMING):
            await self._fail(conn, folder)
        copying = await _folders_at_work(conn, CLONE_FOLDER, "target_id")
        for folder in await self._overdue(conn, FolderStatus.CLONING):
            if str(folder.id) not in copying:
                await self._fail(conn, folder)
        purging = await _folders_at_work(conn, PURGE_FOLDER, "folder_id")
        for folder in await self._untried(conn, purging | copying):
            if len(purging) < RESUMED_MAX:
                purging.add(str(folder.id))
                await queue_purge(conn, folder)

    async def _untried(self, conn: AsyncConnection, at_work: set[str]) -> list[Folder]:
        """Those to delete now: nobody does, or did a short while ago."""
        is_known = store.is_on(self._proxies.config.proxies)
        overdue = await self._overdue(conn, FolderStatus.DELETING, is_known)
        idle = [folder for folder in overdue if str(folder.id) not in at_work]
        ids = [str(folder.id) for folder in idle]
        ends = await load_last_ends(conn, PURGE_FOLDER, "folder_id", ids)
        now = self._clock.now()
        return [folder for folder in idle if is_due(folder, ends.get(str(folder.id)), now)]

    async def _overdue(
        self, conn: AsyncConnection, status: FolderStatus, *where: sa.ColumnElement[bool]
    ) -> list[Folder]:
        since = self._clock.now() - timedelta(seconds=PATIENCE_SECONDS[status])
        return await store.lock_unsettled(conn, status, since, RESUMED_MAX, *where)

    async def _fail(self, conn: AsyncConnection, folder: Folder) -> None:
        log.warning("vfolder.given_up", folder=str(folder.id), status=folder.status.value)
        await store.move_folder(conn, folder, FolderEvent.FAILED, self._clock.now())


def is_due(folder: Folder, tried_at: datetime | None, now: datetime) -> bool:
    """PURE: whether one that waits to be deleted is tried again."""
    if tried_at is None:
        return True
    failing, idle = now - folder.status_changed_at, now - tried_at
    return PAUSE.is_over(failing.total_seconds(), idle.total_seconds())


async def refuse_used(change: Change, folder: Folder) -> None:
    """Raises Conflict, with whose, while a live session mounts the folder or it is copied. Its row
    is locked by then, so that none can begin meanwhile."""
    mounting = await store.list_mounting(change.connection, folder.id)
    if mounting:
        told = ", ".join(f"{name} ({session_id})" for name, session_id in mounting)
        ids = [str(session_id) for _, session_id in mounting]
        raise Conflict(f"Sessions mount it: {told}. End them first.", {"sessions": ids})
    copied = {"source_id": str(folder.id)}
    if await list_live(change.connection, CLONE_FOLDER, copied):
        raise Conflict("It is being copied; try again when that is done.")


async def _folders_at_work(conn: AsyncConnection, name: str, key: str) -> set[str]:
    return {task.params[key] for task in await list_live(conn, name, {})}
