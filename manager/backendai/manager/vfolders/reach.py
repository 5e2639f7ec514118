"""Finds the folder that a request is about and asks whether it may be done: load, then decide."""

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import VFolderUnmanaged
from backendai.manager.gate.actor import Actor

from . import store
from .access import Operation, authorize
from .allowed import NOTHING
from .model import Folder, require_ready


async def reach(
    conn: AsyncConnection,
    actor: Actor,
    reference: str,
    operation: Operation,
    *,
    lock: bool = False,
    binned: bool = False,
) -> Folder:
    """The folder that `reference` means, on which `actor` may do `operation`.

    As `store.get_seen`. Raises VFolderNotFound, and Forbidden with what is missing.
    """
    seen = await store.get_seen(conn, actor, reference, lock=lock, binned=binned)
    allowed = NOTHING
    if operation.on_host is not None:
        allowed = await store.load_allowed_hosts(conn, actor, seen.folder.project_id)
    return authorize(seen, operation, allowed)


async def reach_files(
    conn: AsyncConnection,
    actor: Actor,
    reference: str,
    operation: Operation,
    *,
    lock: bool = False,
) -> Folder:
    """As `reach`, for work on files through its proxy. Raises VFolderUnmanaged."""
    folder = await reach(conn, actor, reference, operation, lock=lock)
    return require_ready(require_managed(folder))


def require_managed(folder: Folder) -> Folder:
    """The folder. Raises VFolderUnmanaged for one whose files no proxy has."""
    if folder.is_unmanaged:
        raise VFolderUnmanaged(
            f"{folder.name} is the directory {folder.unmanaged_path} of nodes; mount it in a "
            "session to get at its files.",
            {"unmanaged_path": folder.unmanaged_path},
        )
    return folder
