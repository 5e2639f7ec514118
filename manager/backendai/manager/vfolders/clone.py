"""Copies folders: a row that is being copied to, and a task that has the proxy do it."""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

from backendai.common.clock import Clock
from backendai.common.faults import Conflict, Fault, FileNotFound, Forbidden, InvalidParams
from backendai.common.logs import get_logger
from backendai.manager.audit.change import Change, Changes
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.tasks.model import Progress
from backendai.manager.tasks.saving import save_surely
from backendai.manager.tasks.store import begin_task

from . import actions, store
from .access import Operation
from .creation import FolderCreation, NewFolder, give_up, load_owner
from .model import Folder, FolderEvent, FolderStatus
from .proxies import CLONE_SECONDS, Proxies
from .reach import reach_files
from .volumes import parse_host

log = get_logger(__name__)

# The name of the tasks.
CLONE_FOLDER: Final = actions.CLONE.name
LOOK_SECONDS: Final = 10.0


class FolderClones:
    """What people ask for: a copy, which is theirs."""

    def __init__(self, changes: Changes, creation: FolderCreation) -> None:
        self._changes = changes
        self._creation = creation

    async def begin(
        self, actor: Actor, reference: str, wanted: NewFolder
    ) -> tuple[Folder, uuid.UUID]:
        """The folder that is copied to, and the task; None of `wanted.host` is the same host.

        Raises as creation does, and Forbidden for one that may not be cloned.
        """

        async def work(change: Change) -> tuple[Folder, uuid.UUID]:
            conn = change.connection
            source = await reach_files(conn, actor, reference, Operation.CLONE, lock=True)
            owner = await load_owner(conn, actor, None)
            new = _checked(source, wanted)
            target = await self._creation.insert(change, owner, new, FolderStatus.CLONING)
            params = {
                "source_id": str(source.id),
                "target_id": str(target.id),
                "owner_id": str(actor.user_id),
                "bytes_max": owner.bytes_max,
            }
            task = await begin_task(change, CLONE_FOLDER, params, domain=owner.domain)
            return target, task

        return await self._changes.run(actor, actions.CLONE, work)


class CloneWork:
    """The work of a clone task, which another manager may go on with: what a proxy shows of a copy
    is whole. A copy without its task is deleted."""

    def __init__(self, database: Database, proxies: Proxies, clock: Clock) -> None:
        self._database = database
        self._proxies = proxies
        self._clock = clock

    async def __call__(self, params: Mapping[str, Any], progress: Progress) -> str:
        source, target = (
            await self._load(params["source_id"]),
            await self._load(params["target_id"]),
        )
        if target.status is FolderStatus.READY:
            return _told(source, target)
        if target.status is not FolderStatus.CLONING:
            raise Conflict(f"The copy {target.name} was given up meanwhile.")
        try:
            await self._proxies.ensure_scope(
                target.host, target.quota_scope_id, params["bytes_max"]
            )
            await self._copy(source, target, progress)
        except Fault:
            await give_up(self._database, target, self._clock.now())
            raise
        now = self._clock.now()

        async def finish(conn: Any) -> None:
            present = await store.get_folder(conn, target.id, lock=True)
            # Its commit may have been kept though its answer was lost.
            if present.status is FolderStatus.CLONING:
                await store.move_folder(conn, present, FolderEvent.MADE, now)

        await save_surely(self._database, self._clock, finish, folder=target.name)
        return _told(source, target)

    async def _load(self, folder_id: str) -> Folder:
        wanted = uuid.UUID(folder_id)
        return await self._database.read(lambda conn: store.get_folder(conn, wanted))

    async def _copy(self, source: Folder, target: Folder, progress: Progress) -> None:
        """Progress is in bytes, as far as the proxy can tell them."""
        size = (await self._proxies.usage(source)).used_bytes
        await progress.tell(more=size, message=f"Copying {source.name} to {target.name}")
        watching = asyncio.create_task(self._watch(target, size, progress), name="clone-progress")
        try:
            await self._clone(source, target)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _clone(self, source: Folder, target: Folder) -> None:
        """Also where a proxy goes on with what another manager asked it for. Raises Conflict."""
        give_up_at = self._clock.monotonic() + CLONE_SECONDS
        while True:
            try:
                await self._proxies.clone(source, target)
            except Conflict:
                if await self._is_there(target):
                    return
                if self._clock.monotonic() >= give_up_at:
                    raise
                await self._clock.sleep(LOOK_SECONDS)
            else:
                return

    async def _is_there(self, target: Folder) -> bool:
        try:
            await self._proxies.mount_path(target)
        except FileNotFound:
            return False
        return True

    async def _watch(self, target: Folder, size: int, progress: Progress) -> None:
        told = 0
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                present = min(size, await self._proxies.used_bytes(target))
            except FileNotFound:
                # Proxies may show a copy only when it is whole.
                continue
            except Fault as fault:
                log.info("clone.progress_unknown", folder=str(target.id), code=fault.code)
                continue
            if present > told:
                await progress.tell(done=present - told)
                told = present


def _told(source: Folder, target: Folder) -> str:
    return f"{source.name} is copied to {target.name}."


def _checked(source: Folder, wanted: NewFolder) -> NewFolder:
    """The folder to make of `wanted`. Raises Forbidden and InvalidParams."""
    if not source.cloneable:
        raise Forbidden(f"The folder {source.name} may not be cloned; its owner can allow it.")
    host = wanted.host or source.host
    proxy = parse_host(source.host).proxy
    if parse_host(host).proxy != proxy:
        raise InvalidParams(facts={"target_host": f"copies stay with one proxy, here {proxy}"})
    return NewFolder(
        name=wanted.name,
        host=host,
        usage_mode=wanted.usage_mode,
        permission=wanted.permission,
        cloneable=wanted.cloneable,
    )
