"""What people do with the files in folders: asked of the proxy, after it is sure that they may."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backendai.common.faults import Fault, Kind
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor

from . import actions, store
from .access import Operation
from .model import Folder
from .proxies import FileEntry, Proxies, Ticket
from .reach import reach_files


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one of several directories; without a fault it is there."""

    path: str
    fault: Fault | None = None


class FolderFiles:
    """Every method raises VFolderNotFound, Forbidden, Conflict for a folder that is not ready, and
    what the proxy's refusal is."""

    def __init__(self, database: Database, changes: Changes, proxies: Proxies) -> None:
        self._database = database
        self._changes = changes
        self._proxies = proxies

    async def list_files(self, actor: Actor, reference: str, path: str) -> list[FileEntry]:
        folder = await self._reach(actor, reference, Operation.LIST_FILES)
        return await self._proxies.list_files(folder, path)

    async def begin_download(
        self, actor: Actor, reference: str, path: str, *, archive: bool
    ) -> Ticket:
        folder = await self._reach(actor, reference, Operation.DOWNLOAD)
        return await self._proxies.begin_download(folder, path, archive=archive)

    async def begin_selection(
        self, actor: Actor, reference: str, path: str, names: Sequence[str]
    ) -> Ticket:
        """Of one archive of paths below the directory `path`."""
        folder = await self._reach(actor, reference, Operation.DOWNLOAD)
        return await self._proxies.begin_selection(folder, path, names)

    async def begin_extraction(
        self, actor: Actor, reference: str, path: str, into: str, *, removes: bool
    ) -> Ticket:
        """Of the archive at `path`; `removes` deletes it when all of it is unpacked."""
        noted = {"extract": path, "into": into, "remove": removes}
        folder = await self._note(actor, actions.UPLOAD, reference, Operation.UPLOAD, noted)
        return await self._proxies.begin_extraction(folder, path, into, removes=removes)

    async def begin_upload(
        self, actor: Actor, reference: str, path: str, size_bytes: int
    ) -> Ticket:
        noted = {"path": path, "size_bytes": size_bytes}
        folder = await self._note(actor, actions.UPLOAD, reference, Operation.UPLOAD, noted)
        return await self._proxies.begin_upload(folder, path, size_bytes)

    async def mkdir(
        self, actor: Actor, reference: str, paths: Sequence[str], *, parents: bool, exist_ok: bool
    ) -> list[Made]:
        """What became of each. The fault of a single one is raised."""
        folder = await self._change(actor, reference, Operation.MKDIR, {"mkdir": list(paths)})
        made = []
        for path in paths:
            try:
                await self._proxies.mkdir(folder, path, parents=parents, exist_ok=exist_ok)
            except Fault as fault:
                if len(paths) == 1 or fault.kind is Kind.UNAVAILABLE:
                    raise
                made.append(Made(path, fault))
            else:
                made.append(Made(path))
        return made

    async def rename_file(self, actor: Actor, reference: str, path: str, new_name: str) -> None:
        noted = {"rename": path, "to": new_name}
        folder = await self._change(actor, reference, Operation.MOVE_FILES, noted)
        await self._proxies.rename_file(folder, path, new_name)

    async def move_file(self, actor: Actor, reference: str, source: str, target: str) -> None:
        noted = {"move": source, "to": target}
        folder = await self._change(actor, reference, Operation.MOVE_FILES, noted)
        await self._proxies.move_file(folder, source, target)

    async def copy_file(self, actor: Actor, reference: str, source: str, target: str) -> None:
        """Within the folder: what is there already is not replaced."""
        noted = {"copy": source, "to": target}
        folder = await self._change(actor, reference, Operation.UPLOAD, noted)
        await self._proxies.copy_file(folder, source, target)

    async def delete_files(
        self, actor: Actor, reference: str, paths: Sequence[str], *, recursive: bool
    ) -> None:
        noted = {"delete": list(paths), "recursive": recursive}
        folder = await self._change(actor, reference, Operation.DELETE_FILES, noted)
        await self._proxies.delete_files(folder, paths, recursive=recursive)

    async def _reach(self, actor: Actor, reference: str, operation: Operation) -> Folder:
        return await self._database.read(
            lambda conn: reach_files(conn, actor, reference, operation)
        )

    async def _change(
        self, actor: Actor, reference: str, operation: Operation, noted: dict[str, Any]
    ) -> Folder:
        return await self._note(actor, actions.MODIFY_FILES, reference, operation, noted)

    async def _note(
        self,
        actor: Actor,
        action: Action,
        reference: str,
        operation: Operation,
        noted: dict[str, Any],
    ) -> Folder:
        """The folder, with the wish in the audit log: it is asked of the proxy after that."""

        async def work(change: Change) -> Folder:
            folder = await reach_files(change.connection, actor, reference, operation)
            await store.note_use(change.connection, folder.id, change.at)
            target = Target("vfolder", str(folder.id), folder.domain)
            await record(change, target, before={}, after=noted)
            return folder

        return await self._changes.run(actor, action, work)
