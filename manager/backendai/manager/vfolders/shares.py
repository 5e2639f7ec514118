"""Shares of folders and invitations to them in Postgres.

A share is what one user may with a folder that is somebody else's, or within their project's. An
invitation is for an email, and becomes a share when whoever has it accepts.
"""

import enum
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserStatus
from backendai.common.faults import Conflict, InvitationNotFound
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import delete_row, insert_row, update_row
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor

from .model import Folder, FolderStatus, Ownership, Permission

LISTED_MAX: Final = 10_000


class InvitationState(enum.StrEnum):
    """Only what is pending moves."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"  # by whoever was invited
    CANCELED = "canceled"  # by whoever invited


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    id: uuid.UUID
    inviter_id: uuid.UUID
    inviter: str
    invitee: str
    permission: Permission
    state: InvitationState
    created_at: datetime
    modified_at: datetime | None
    folder_id: uuid.UUID
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`owner` is an email, or the name of a project."""

    folder_id: uuid.UUID
    folder: str
    status: FolderStatus
    owner: str
    ownership: Ownership
    user_id: uuid.UUID
    email: str
    permission: Permission


_i: Final = t.vfolder_invitations
_p: Final = t.vfolder_permissions
_f: Final = t.vfolders.c
_inviters: Final = t.users.alias("inviters")


async def list_received(conn: AsyncConnection, actor: Actor) -> list[Invitation]:
    """What waits for an answer of `actor`, the oldest first."""
    return await _list_pending(conn, _is_for(actor))


async def list_sent(conn: AsyncConnection, actor: Actor) -> list[Invitation]:
    """What `actor` waits for an answer to, the oldest first."""
    return await _list_pending(conn, _i.c.inviter_id == actor.user_id)


async def get_invitation(
    conn: AsyncConnection, actor: Actor, invitation_id: uuid.UUID
) -> Invitation:
    """One that `actor` sent or received. Raises InvitationNotFound, and Conflict where it was
    answered or taken back already."""
    is_known = sa.or_(_is_for(actor), _i.c.inviter_id == actor.user_id)
    statement = _select().where(_i.c.id == invitation_id, is_known)
    row = (await conn.execute(statement)).mappings().first()
    if row is None:
        raise InvitationNotFound(str(invitation_id))
    found = _invitation_of(row)
    if found.state is not InvitationState.PENDING:
        raise Conflict(f"The invitation was {found.state} already.", {"state": found.state.value})
    return found


async def list_invited(conn: AsyncConnection, folder_id: uuid.UUID) -> set[str]:
    """The emails that wait for an answer."""
    is_pending = _i.c.state == InvitationState.PENDING.value
    return set(await conn.scalars(sa.select(_i.c.invitee).where(_of(_i, folder_id), is_pending)))


async def cancel_invitations(change: Change, folder: Folder) -> None:
    """All that are pending, as when the folder is handed on. It is locked before."""
    is_pending = _i.c.state == InvitationState.PENDING.value
    ids = sa.select(_i.c.id).where(_of(_i, folder.id), is_pending).order_by(_i.c.id)
    canceled = {"state": InvitationState.CANCELED.value}
    for one in list(await change.connection.scalars(ids)):
        await update_row(change, _i, {"id": one}, canceled, domain=folder.domain)


async def find_users(
    conn: AsyncConnection, domain: str, emails: Collection[str]
) -> dict[str, uuid.UUID]:
    """The active users of a domain among these, by email."""
    users = t.users.c
    is_active = users.status == UserStatus.ACTIVE.value
    statement = sa.select(users.email, users.id).where(
        users.email.in_(emails), users.domain_name == domain, is_active
    )
    return {row.email: row.id for row in await conn.execute(statement)}


async def find_members(
    conn: AsyncConnection, project_id: uuid.UUID, emails: Collection[str]
) -> dict[str, uuid.UUID]:
    """The active members of a project among these, by email."""
    users, members = t.users.c, t.project_members.c
    statement = (
        sa.select(users.email, users.id)
        .join(t.project_members, members.user_id == users.id)
        .where(
            members.project_id == project_id,
            users.email.in_(emails),
            users.status == UserStatus.ACTIVE.value,
        )
    )
    return {row.email: row.id for row in await conn.execute(statement)}


async def list_holders(conn: AsyncConnection, folder_id: uuid.UUID) -> set[uuid.UUID]:
    """The users who have a share."""
    return set(await conn.scalars(sa.select(_p.c.user_id).where(_of(_p, folder_id))))


async def list_shares(conn: AsyncConnection, folders: Mapping[uuid.UUID, Folder]) -> list[Share]:
    """Every share of these, by the names of folders and the emails of users."""
    statement = (
        sa.select(_p, t.users.c.email)
        .join(t.users, t.users.c.id == _p.c.user_id)
        .join(t.vfolders, _f.id == _p.c.vfolder_id)
        .where(_p.c.vfolder_id.in_(folders))
        .order_by(_f.name, _f.id, t.users.c.email)
        .limit(LISTED_MAX)
    )
    found = await conn.execute(statement)
    return [_share_of(folders[row["vfolder_id"]], row) for row in found.mappings()]


async def give(change: Change, folder: Folder, user_id: uuid.UUID, permission: Permission) -> None:
    """Let a user have this permission instead of what they had. The folder is locked before."""
    key = {"vfolder_id": folder.id, "user_id": user_id}
    values = {"permission": permission.value}
    if user_id in await list_holders(change.connection, folder.id):
        await update_row(change, _p, key, values, domain=folder.domain)
    else:
        await insert_row(change, _p, {**key, **values}, domain=folder.domain)


async def take(change: Change, folder: Folder, user_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Take shares away; who had one. The folder is locked before."""
    held = await list_holders(change.connection, folder.id) & set(user_ids)
    for user_id in sorted(held):
        key = {"vfolder_id": folder.id, "user_id": user_id}
        await delete_row(change, _p, key, domain=folder.domain)
    return held


async def _list_pending(conn: AsyncConnection, *where: sa.ColumnElement[bool]) -> list[Invitation]:
    """What cannot be accepted now, as its folder is in the bin, is left out."""
    is_live = (
        _i.c.state == InvitationState.PENDING.value,
        _f.status == FolderStatus.READY.value,
    )
    statement = _select().where(*where, *is_live).order_by(_i.c.created_at, _i.c.id)
    found = await conn.execute(statement.limit(LISTED_MAX))
    return [_invitation_of(row) for row in found.mappings()]


def _select() -> sa.Select[Any]:
    return (
        sa.select(_i, _inviters.c.email.label("inviter"), _f.name.label("folder"))
        .join(t.vfolders, _f.id == _i.c.vfolder_id)
        .join(_inviters, _inviters.c.id == _i.c.inviter_id)
    )


def _is_for(actor: Actor) -> sa.ColumnElement[bool]:
    """Folders are shared within a domain, which their owner or `actor` may have left since."""
    return sa.and_(_i.c.invitee == actor.email, _f.domain_name == actor.domain)


def _of(table: sa.Table, folder_id: uuid.UUID) -> sa.ColumnElement[bool]:
    return table.c.vfolder_id == folder_id


def _invitation_of(row: Mapping[Any, Any]) -> Invitation:
    return Invitation(
        id=row["id"],
        inviter_id=row["inviter_id"],
        inviter=row["inviter"],
        invitee=row["invitee"],
        permission=Permission(row["permission"]),
        state=InvitationState(row["state"]),
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        folder_id=row["vfolder_id"],
        folder=row["folder"],
    )


def _share_of(folder: Folder, row: Mapping[Any, Any]) -> Share:
    return Share(
        folder_id=folder.id,
        folder=folder.name,
        status=folder.status,
        owner=folder.user_email or folder.project or "",
        ownership=folder.ownership,
        user_id=row["user_id"],
        email=row["email"],
        permission=Permission(row["permission"]),
    )
