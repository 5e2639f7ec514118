"""What people do with whole folders: see, rename, bin, restore, purge and hand them on."""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserStatus
from backendai.common.faults import Conflict, InsufficientPrivilege, UserNotFound
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.rows import update_row
from backendai.manager.audit.store import record
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor
from backendai.manager.tasks.store import begin_task, list_live

from . import actions, shares, store
from .access import Operation, Seen
from .creation import (
    PURGE_FOLDER,
    load_project_owner,
    load_user_owner,
    purge_params,
    refuse_crowd,
)
from .model import (
    Folder,
    FolderEvent,
    FolderStatus,
    Ownership,
    Permission,
    next_status,
    refuse_status,
    require_ready,
)
from .names import check_name
from .proxies import Proxies
from .purge import refuse_used
from .reach import reach


class Folders:
    """What somebody may not see is not found; what they see but may not change is forbidden."""

    def __init__(self, database: Database, changes: Changes, proxies: Proxies) -> None:
        self._database = database
        self._changes = changes
        self._proxies = proxies

    async def list_folders(
        self,
        actor: Actor,
        *,
        is_all: bool = False,
        project: uuid.UUID | None = None,
        owner_email: str | None = None,
        is_deleting: bool = False,
    ) -> list[Seen]:
        """What `actor` sees, by name; `is_all` and `owner_email` are for administrators, about all
        that they manage. What is being deleted is left out, or is all there is."""
        if (is_all or owner_email is not None) and not actor.is_domain_admin:
            raise InsufficientPrivilege("Only administrators list the folders of others.")
        is_it = t.vfolders.c.status == FolderStatus.DELETING.value
        where = [is_it if is_deleting else ~is_it]
        administered = is_all or owner_email is not None
        if project is not None:
            of_project = t.vfolders.c.project_id == project
            of_people = t.vfolders.c.project_id.is_(None)
            # People see their own in whichever project they work.
            where.append(of_project if administered else sa.or_(of_project, of_people))
        if owner_email is not None:
            where.append(t.users.c.email == owner_email)
        return await self._database.read(
            lambda conn: store.list_seen(conn, actor, *where, administered=administered)
        )

    async def get(self, actor: Actor, reference: str, *, binned: bool = False) -> Seen:
        """Raises VFolderNotFound; with `binned` a name also finds what is in the bin."""
        return await self._database.read(
            lambda conn: store.get_seen(conn, actor, reference, binned=binned)
        )

    async def rename(self, actor: Actor, reference: str, new_name: str) -> None:
        """Doing it again, by the id, is right. Raises InvalidParams, VFolderExists."""

        async def work(change: Change) -> None:
            folder = await self._reach_ready(change, reference, Operation.RENAME)
            check_name(new_name, folder.ownership)
            if new_name == folder.name:
                return
            await _take_name(change.connection, folder, new_name)
            await _update(change, folder, name=new_name)

        await self._changes.run(actor, actions.MODIFY, work)

    async def set_options(
        self,
        actor: Actor,
        reference: str,
        *,
        cloneable: bool | None,
        permission: Permission | None,
    ) -> None:
        """None leaves an option as it is."""

        async def work(change: Change) -> None:
            folder = await self._reach_ready(change, reference, Operation.SET_OPTIONS)
            wanted = {"cloneable": cloneable, "permission": permission}
            await _update(change, folder, **{k: v for k, v in wanted.items() if v is not None})

        await self._changes.run(actor, actions.MODIFY, work)

    async def delete(self, actor: Actor, reference: str) -> None:
        """Put it into the bin, where its name is free; what is there already stays."""
        await self._move(actor, actions.DELETE, reference, Operation.DELETE, FolderEvent.DELETE)

    async def restore(self, actor: Actor, reference: str) -> None:
        """Take it out of the bin; what is out already stays. Raises VFolderExists when its name was
        taken meanwhile, and InvalidParams when there are too many folders."""
        await self._move(actor, actions.RESTORE, reference, Operation.RESTORE, FolderEvent.RESTORE)

    async def purge(self, actor: Actor, reference: str) -> uuid.UUID | None:
        """Delete what is in the bin for ever: the task that does it. Asking again gives the same.

        Raises Conflict while sessions mount it, or it is copied, or it is not in the bin.
        """

        async def work(change: Change) -> uuid.UUID | None:
            folder = await reach(
                change.connection, actor, reference, Operation.PURGE, lock=True, binned=True
            )
            params = purge_params(folder)
            if folder.status is FolderStatus.DELETING:
                live = await list_live(change.connection, PURGE_FOLDER, params)
                return live[0].id if live else None
            if folder.status is not FolderStatus.BINNED:
                # What a proxy still makes or copies would come after it was deleted, and stay.
                raise refuse_status(folder.status)
            await refuse_used(change, folder)
            await _move(change, folder, FolderEvent.PURGE)
            return await begin_task(change, PURGE_FOLDER, params, domain=folder.domain)

        return await self._changes.run(actor, actions.PURGE, work)

    async def abandon(self, actor: Actor, folder_id: str, *, is_forced: bool) -> None:
        """End one that is being deleted without its proxy; files that it may still have stay.

        Raises Conflict for one in another status, and unless `is_forced` while its host is
        configured: it is asked again by itself.
        """

        async def work(change: Change) -> None:
            folder = (await store.get_seen(change.connection, actor, folder_id, lock=True)).folder
            next_status(folder.status, FolderEvent.ABANDON)
            is_asked = not folder.is_unmanaged and self._proxies.knows(folder.host)
            if is_asked and not is_forced:
                raise Conflict(
                    f"{folder.host} is configured and asked again by itself; force it where it "
                    "will never delete the files.",
                    {"host": folder.host},
                )
            await _move(change, folder, FolderEvent.ABANDON)

        await self._changes.run(actor, actions.ABANDON, work)

    async def transfer(self, actor: Actor, folder_id: str, email: str) -> None:
        """Hand a user's folder on to another user, who has it alone then.

        Its files stay where they are, and count there. Raises UserNotFound, VFolderExists, and
        Conflict for a project's.
        """

        async def work(change: Change) -> None:
            conn = change.connection
            folder = (await store.get_seen(conn, actor, folder_id, lock=True)).folder
            require_ready(folder)
            if folder.ownership is not Ownership.USER:
                raise Conflict("The folder belongs to a project.")
            user_id = await _find_active(conn, email)
            if user_id == folder.user_id:
                return
            owner = await load_user_owner(conn, user_id)
            await store.lock_owner(conn, user_id)
            await store.refuse_taken(conn, user_id, folder.name)
            await refuse_crowd(conn, owner)
            given = t.vfolder_permissions.c
            is_theirs = (given.vfolder_id == folder.id, given.user_id == user_id)
            await conn.execute(sa.delete(t.vfolder_permissions).where(*is_theirs))
            await shares.cancel_invitations(change, folder)
            await _update(change, folder, user_id=user_id, domain_name=owner.domain)

        await self._changes.run(actor, actions.TRANSFER, work)

    async def _reach_ready(self, change: Change, reference: str, operation: Operation) -> Folder:
        return require_ready(
            await reach(change.connection, change.actor, reference, operation, lock=True)
        )

    async def _move(
        self,
        actor: Actor,
        action: Action,
        reference: str,
        operation: Operation,
        event: FolderEvent,
    ) -> None:
        is_out = event is FolderEvent.RESTORE
        there = FolderStatus.READY if is_out else FolderStatus.BINNED

        async def work(change: Change) -> None:
            conn = change.connection
            folder = await reach(conn, actor, reference, operation, lock=True, binned=is_out)
            if folder.status is there:
                return
            if is_out:
                await _take_name(conn, folder, folder.name)
                await _refuse_crowd_of(conn, folder)
            await _move(change, folder, event)

        await self._changes.run(actor, action, work)


async def _move(change: Change, folder: Folder, event: FolderEvent) -> None:
    status = await store.move_folder(change.connection, folder, event, change.at)
    target = Target("vfolder", str(folder.id), folder.domain)
    before, after = {"status": folder.status.value}, {"status": status.value}
    await record(change, target, before=before, after=after)


async def _update(change: Change, folder: Folder, **values: Any) -> None:
    await update_row(change, t.vfolders, {"id": folder.id}, values, domain=folder.domain)


async def _take_name(conn: AsyncConnection, folder: Folder, name: str) -> None:
    if folder.owner_id is not None:
        await store.lock_owner(conn, folder.owner_id)
        await store.refuse_taken(conn, folder.owner_id, name)


async def _refuse_crowd_of(conn: AsyncConnection, folder: Folder) -> None:
    if folder.user_id is not None:
        await refuse_crowd(conn, await load_user_owner(conn, folder.user_id))
    elif folder.project_id is not None:
        await refuse_crowd(conn, await load_project_owner(conn, folder.project_id))


async def _find_active(conn: AsyncConnection, email: str) -> uuid.UUID:
    users = t.users.c
    found: uuid.UUID | None = await conn.scalar(
        sa.select(users.id).where(users.email == email, users.status == UserStatus.ACTIVE.value)
    )
    if found is None:
        raise UserNotFound(f"There is no active user {email}.")
    return found
