"""How folders come to others: users invite to their own, administrators share those of projects.

Folders are shared within their domain. Who merely has a share cannot hand it on.
"""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import (
    Conflict,
    Forbidden,
    InvalidParams,
    ShareNotFound,
    UserNotFound,
)
from backendai.common.ids import IdSource
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import insert_row, update_row
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor

from . import actions, shares, store
from .access import Operation, Right
from .model import Folder, FolderStatus, Ownership, Permission, require_ready
from .reach import reach
from .shares import Invitation, InvitationState, Share


class FolderSharing:
    """What somebody may not see is not found; what they see but may not share is forbidden."""

    def __init__(self, database: Database, changes: Changes, ids: IdSource) -> None:
        self._database = database
        self._changes = changes
        self._ids = ids

    async def invite(
        self,
        actor: Actor,
        reference: str,
        emails: Sequence[str],
        permission: Permission = Permission.READ_WRITE,
    ) -> list[str]:
        """The emails that were invited: those who have a share, or an invitation, already are not
        once more.

        Raises InvalidParams for the owner, UserNotFound that names who is no active user of the
        folder's domain, and Conflict for a folder of a project or with a dot.
        """

        async def work(change: Change) -> list[str]:
            conn = change.connection
            folder = await _reach(change, reference, Operation.INVITE)
            _refuse_unfit(folder)
            found = await shares.find_users(conn, folder.domain, emails)
            _require_all(emails, found, "There are no such active users in your domain")
            if folder.user_id in found.values():
                raise InvalidParams(facts={"emails": f"{folder.user_email} owns the folder"})
            held = await shares.list_holders(conn, folder.id)
            waiting = await shares.list_invited(conn, folder.id)
            invited = [
                email
                for email in dict.fromkeys(emails)
                if found[email] not in held and email not in waiting
            ]
            for email in invited:
                await self._insert(change, folder, email, permission)
            return invited

        return await self._changes.run(actor, actions.INVITE, work)

    async def list_received(self, actor: Actor) -> list[Invitation]:
        return await self._database.read(lambda conn: shares.list_received(conn, actor))

    async def list_sent(self, actor: Actor) -> list[Invitation]:
        return await self._database.read(lambda conn: shares.list_sent(conn, actor))

    async def set_invitation(
        self, actor: Actor, invitation_id: uuid.UUID, permission: Permission
    ) -> None:
        """Let one that `actor` sent give another permission. Raises InvitationNotFound, Conflict,
        and what inviting raises."""

        async def work(change: Change) -> None:
            folder, found = await _lock(change, invitation_id)
            if found.inviter_id != actor.user_id:
                raise Forbidden("Only whoever invited you may change what it gives.")
            await _reach(change, str(folder.id), Operation.INVITE)
            await _update(change, folder, found, permission=permission.value)

        await self._changes.run(actor, actions.INVITE, work)

    async def accept(self, actor: Actor, invitation_id: uuid.UUID) -> None:
        """Have the share that `actor` was invited to. Raises InvitationNotFound, and Conflict where
        it was answered or taken back already, or while the folder is in the bin."""

        async def work(change: Change) -> None:
            folder, found = await _lock(change, invitation_id)
            if found.inviter_id == actor.user_id:
                raise Forbidden("Only whoever was invited may accept.")
            await shares.give(change, require_ready(folder), actor.user_id, found.permission)
            await _update(change, folder, found, state=InvitationState.ACCEPTED.value)

        await self._changes.run(actor, actions.ACCEPT, work)

    async def decline(self, actor: Actor, invitation_id: uuid.UUID) -> None:
        """Reject one that `actor` received, or cancel one that they sent. Raises as `accept`."""

        async def work(change: Change) -> None:
            folder, found = await _lock(change, invitation_id)
            is_own = found.inviter_id == actor.user_id
            state = InvitationState.CANCELED if is_own else InvitationState.REJECTED
            await _update(change, folder, found, state=state.value)

        await self._changes.run(actor, actions.DECLINE, work)

    async def leave(self, actor: Actor, reference: str, user_id: uuid.UUID | None) -> None:
        """Give up one's own share, or as owner or administrator take that of `user_id`.

        Raises Conflict for one's own folder and those of projects, and ShareNotFound.
        """
        if user_id not in (None, actor.user_id):
            await self.set_share(actor, reference, user_id, None)
            return

        async def work(change: Change) -> None:
            folder = await reach(change.connection, actor, reference, Operation.INFO, lock=True)
            if folder.ownership is Ownership.PROJECT:
                raise Conflict("The folder belongs to a project; whoever leaves that leaves it.")
            if folder.user_id == actor.user_id:
                raise Conflict("The folder is your own; delete it, or let others leave it.")
            if not await shares.take(change, folder, [actor.user_id]):
                raise ShareNotFound(f"You have no share of {folder.name}.")

        await self._changes.run(actor, actions.LEAVE, work)

    async def share(
        self,
        actor: Actor,
        reference: str,
        emails: Sequence[str],
        permission: Permission = Permission.READ_WRITE,
    ) -> list[str]:
        """Give members of the project that owns a folder a permission of their own; their emails.

        Raises UserNotFound that names who is not a member, and Conflict for a user's folder.
        """

        async def work(change: Change) -> list[str]:
            folder = await _reach(change, reference, Operation.SHARE)
            members = await _find_members(change, folder, emails)
            for user_id in members.values():
                await shares.give(change, folder, user_id, permission)
            return list(members)

        return await self._changes.run(actor, actions.SHARE, work)

    async def unshare(self, actor: Actor, reference: str, emails: Sequence[str]) -> list[str]:
        """Let members have again what all may; the emails of those who had something else."""

        async def work(change: Change) -> list[str]:
            folder = await _reach(change, reference, Operation.UNSHARE)
            members = await _find_members(change, folder, emails)
            had = await shares.take(change, folder, list(members.values()))
            return [email for email, user_id in members.items() if user_id in had]

        return await self._changes.run(actor, actions.UNSHARE, work)

    async def list_shares(self, actor: Actor, folder_id: uuid.UUID | None) -> list[Share]:
        """The shares of all folders that `actor` owns or administers, or of one of them."""
        where = [t.vfolders.c.status != FolderStatus.DELETING.value, _is_shared()]
        if folder_id is not None:
            where.append(t.vfolders.c.id == folder_id)

        async def load(conn: AsyncConnection) -> list[Share]:
            seen = await store.list_seen(conn, actor, *where, administered=True)
            given = {each.folder.id: each.folder for each in seen if Right.MANAGE in each.rights}
            return await shares.list_shares(conn, given)

        return await self._database.read(load)

    async def set_share(
        self, actor: Actor, reference: str, user_id: uuid.UUID, permission: Permission | None
    ) -> None:
        """Change what somebody's share gives, as owner or administrator; None takes it away.

        Raises ShareNotFound where there is none.
        """
        operation = Operation.UNSHARE if permission is None else Operation.SET_SHARE

        async def work(change: Change) -> None:
            folder = await _reach(change, reference, operation)
            if user_id not in await shares.list_holders(change.connection, folder.id):
                raise ShareNotFound(f"The user {user_id} has no share of {folder.name}.")
            if permission is None:
                await shares.take(change, folder, [user_id])
            else:
                await shares.give(change, folder, user_id, permission)

        await self._changes.run(actor, actions.SET_SHARE, work)

    async def _insert(
        self, change: Change, folder: Folder, email: str, permission: Permission
    ) -> None:
        values = {
            "id": self._ids.uuid(),
            "vfolder_id": folder.id,
            "inviter_id": change.actor.user_id,
            "invitee": email,
            "permission": permission.value,
            "created_at": change.at,
        }
        await insert_row(change, t.vfolder_invitations, values, domain=folder.domain)


async def _reach(change: Change, reference: str, operation: Operation) -> Folder:
    """Locked, so that what is shared of it is changed by one at a time."""
    found = await reach(change.connection, change.actor, reference, operation, lock=True)
    return found if operation is Operation.UNSHARE else require_ready(found)


async def _lock(change: Change, invitation_id: uuid.UUID) -> tuple[Folder, Invitation]:
    """One that is pending, and its folder, by which all that is done to it goes one by one."""
    conn, actor = change.connection, change.actor
    found = await shares.get_invitation(conn, actor, invitation_id)
    folder = await store.get_folder(conn, found.folder_id, lock=True)
    return folder, await shares.get_invitation(conn, actor, invitation_id)


async def _update(change: Change, folder: Folder, invitation: Invitation, **values: str) -> None:
    key = {"id": invitation.id}
    await update_row(change, t.vfolder_invitations, key, values, domain=folder.domain)


async def _find_members(
    change: Change, folder: Folder, emails: Sequence[str]
) -> dict[str, uuid.UUID]:
    if folder.project_id is None:
        raise Conflict("The folder belongs to a user, who invites others.")
    found = await shares.find_members(change.connection, folder.project_id, emails)
    _require_all(emails, found, "These are no active members of the project of the folder")
    return {email: found[email] for email in dict.fromkeys(emails)}


def _refuse_unfit(folder: Folder) -> None:
    if folder.ownership is Ownership.PROJECT:
        raise Conflict("The folder belongs to a project, all members of which have it.")
    if folder.name.startswith("."):
        raise Conflict("A folder with a dot is for the homes of its owner, not for others.")


def _require_all(emails: Sequence[str], found: dict[str, uuid.UUID], problem: str) -> None:
    missing = sorted(set(emails) - found.keys())
    if missing:
        raise UserNotFound(f"{problem}: {', '.join(missing)}.", {"emails": missing})


def _is_shared() -> sa.ColumnElement[bool]:
    return sa.exists().where(t.vfolder_permissions.c.vfolder_id == t.vfolders.c.id)
