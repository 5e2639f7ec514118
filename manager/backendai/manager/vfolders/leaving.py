"""What becomes of folders when the user or project that owns them is purged, or moves."""

from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from backendai.common.faults import Conflict
from backendai.manager.audit.change import Change
from backendai.manager.db import tables as t

from . import store
from .model import Folder, FolderEvent, FolderStatus
from .purge import refuse_used

TOLD_MAX: Final = 10
_WAYS: Final = {
    FolderStatus.READY: (FolderEvent.DELETE, FolderEvent.PURGE),
    FolderStatus.BINNED: (FolderEvent.PURGE,),
    FolderStatus.PERFORMING: (FolderEvent.PURGE,),
    FolderStatus.CLONING: (FolderEvent.PURGE,),
    FolderStatus.DELETING: (),
}


async def release_folders(
    change: Change, is_owned: sa.ColumnElement[bool], *, with_shared: bool = True
) -> int:
    """Let the folders that `is_owned` means be deleted for ever, soon. Returns how many.

    Raises Conflict while a live session mounts one, and without `with_shared` while others have a
    share of one.
    """
    if not with_shared:
        await _refuse_shared(change, is_owned)
    folders = await store.lock_folders(change.connection, is_owned)
    for folder in folders:
        await refuse_used(change, folder)
        await _delete(change, folder)
    return len(folders)


async def follow_domain(change: Change, is_owned: sa.ColumnElement[bool], domain: str) -> None:
    """Let folders be of the domain to which their owner moved."""
    moved = sa.update(t.vfolders).where(is_owned).values(domain_name=domain)
    await change.connection.execute(moved)


async def refuse_while_folders(change: Change, domain: str) -> None:
    """Raises Conflict while a domain has folders, also such as are only being deleted."""
    of_domain = sa.select(t.vfolders.c.name).where(t.vfolders.c.domain_name == domain)
    left = list(await change.connection.scalars(of_domain.limit(TOLD_MAX)))
    if left:
        raise Conflict(f"The domain has folders: {', '.join(left)}. They have to be gone first.")


async def _delete(change: Change, folder: Folder) -> None:
    for event in _WAYS[folder.status]:
        status = await store.move_folder(change.connection, folder, event, change.at)
        folder = replace(folder, status=status, revision=folder.revision + 1)


async def _refuse_shared(change: Change, is_owned: sa.ColumnElement[bool]) -> None:
    shared = (
        sa.select(t.vfolders.c.name)
        .where(is_owned, t.vfolder_permissions.c.vfolder_id == t.vfolders.c.id)
        .distinct()
        .limit(TOLD_MAX)
    )
    names = list(await change.connection.scalars(shared))
    if names:
        raise Conflict(
            f"Others use these folders: {', '.join(names)}. Hand them on to somebody, or purge "
            "with purge_shared_vfolders.",
            {"vfolders": names},
        )
