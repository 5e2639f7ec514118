"""Folders in Postgres, always as somebody sees them; and the one function that moves a status."""

import contextlib
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserRole
from backendai.common.faults import Stale, VFolderExists, VFolderNotFound
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.store import FINAL_WORDS

from .access import Seen, pick_seen, see
from .allowed import AllowedHosts, Giver, GiverKind
from .model import (
    LISTED,
    Folder,
    FolderEvent,
    FolderStatus,
    Ownership,
    Permission,
    UsageMode,
    next_status,
)

LISTED_MAX: Final = 10_000
TOLD_MAX: Final = 10

_c: Final = t.vfolders.c
# Folders with their owners, one row each.
JOINED: Final = t.vfolders.outerjoin(t.users, t.users.c.id == _c.user_id).outerjoin(
    t.projects, t.projects.c.id == _c.project_id
)
_COLUMNS: Final = (
    *t.vfolders.c,
    t.users.c.email.label("user_email"),
    t.users.c.role.label("user_role"),
    t.projects.c.name.label("project"),
)
_IS_LISTED: Final = _c.status.in_(sorted(status.value for status in LISTED))
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


def select_seen(actor: Actor, *, administered: bool = False) -> sa.Select[Any]:
    """Every folder that `actor` sees, one row each, as `seen_of` reads it, also what is in the bin
    or being deleted: one's own, those of one's projects, and what others share.

    `administered` adds what `actor` sees as an administrator only.
    """
    statement = sa.select(*seen_columns(actor)).select_from(JOINED)
    return statement.where(is_seen(actor, administered=administered))


def seen_columns(actor: Actor) -> list[sa.ColumnElement[Any]]:
    """What `seen_of` reads, of `JOINED`."""
    is_one = sa.func.coalesce(is_member(actor), sa.false())
    return [*_COLUMNS, is_one.label("is_member"), _shared(actor).label("shared")]


def is_seen(actor: Actor, *, administered: bool = False) -> sa.ColumnElement[bool]:
    """Of a row of folders alone, what `select_seen` says."""
    if administered and actor.is_superadmin:
        return sa.true()
    conditions = [is_owned(actor), is_member(actor), is_shared_with(actor)]
    if administered and actor.is_domain_admin:
        conditions.append(_administered_by(actor))
    return sa.or_(*conditions)


def is_owned(actor: Actor) -> sa.ColumnElement[bool]:
    return _c.user_id == actor.user_id


def is_member(actor: Actor) -> sa.ColumnElement[bool]:
    """Of the project that owns it."""
    members = t.project_members.c
    own = sa.select(members.project_id).where(members.user_id == actor.user_id)
    return _c.project_id.in_(own)


def is_shared_with(actor: Actor) -> sa.ColumnElement[bool]:
    given = t.vfolder_permissions.c
    own = sa.select(given.vfolder_id).where(given.user_id == actor.user_id)
    return sa.and_(_c.user_id != actor.user_id, _c.id.in_(own))


def seen_of(actor: Actor, row: Mapping[Any, Any]) -> Seen:
    """The folder of a row of `select_seen`. Raises VFolderNotFound where the rule of access says
    that it is not seen, whatever the query said."""
    shared = None if row["shared"] is None else Permission(row["shared"])
    folder = folder_of(row)
    seen = see(actor, folder, is_member=bool(row["is_member"]), shared=shared)
    if seen is None:
        raise VFolderNotFound(str(folder.id))
    return seen


async def list_seen(
    conn: AsyncConnection,
    actor: Actor,
    *where: sa.ColumnElement[bool],
    administered: bool = False,
) -> list[Seen]:
    """What `actor` sees, by name; `where` narrows it."""
    statement = select_seen(actor, administered=administered).where(*where)
    found = await conn.execute(statement.order_by(_c.name, _c.id).limit(LISTED_MAX))
    return [seen_of(actor, row) for row in found.mappings()]


async def get_seen(
    conn: AsyncConnection, actor: Actor, reference: str, *, lock: bool = False, binned: bool = False
) -> Seen:
    """The folder that `reference`, an id or a name, means to `actor`.

    An id also finds what is in the bin and what an administrator only manages. A name finds what
    `pick_seen` says, then a project's that an administrator manages, and with `binned` at last the
    one that was put into the bin last. With `lock` nobody else changes it, or begins to mount it,
    before the transaction ends. Raises VFolderNotFound, and Conflict for a name of several.
    """
    if lock:
        await _lock(conn, (await get_seen(conn, actor, reference, binned=binned)).folder.id)
    with contextlib.suppress(ValueError):
        by_id = _c.id == uuid.UUID(reference)
        if found := await list_seen(conn, actor, by_id, administered=True):
            return found[0]
    is_named = _c.name == reference
    found = await list_seen(conn, actor, is_named, _IS_LISTED)
    if not found and actor.is_domain_admin:
        of_projects = (is_named, _IS_LISTED, _c.project_id.is_not(None))
        found = await list_seen(conn, actor, *of_projects, administered=True)
    if not found and binned:
        is_in_bin = _c.status == FolderStatus.BINNED.value
        found = await list_seen(conn, actor, is_named, is_in_bin)
        found = sorted(found, key=lambda seen: seen.folder.status_changed_at)[-1:]
    return pick_seen(found, reference)


async def get_folder(conn: AsyncConnection, folder_id: uuid.UUID, *, lock: bool = False) -> Folder:
    """The folder, for work that acts for nobody. Raises VFolderNotFound."""
    if lock:
        await _lock(conn, folder_id)
    statement = sa.select(*_COLUMNS).select_from(JOINED).where(_c.id == folder_id)
    row = (await conn.execute(statement)).mappings().first()
    if row is None:
        raise VFolderNotFound(str(folder_id))
    return folder_of(row)


async def move_folder(
    conn: AsyncConnection, folder: Folder, event: FolderEvent, at: datetime
) -> FolderStatus:
    """What the folder is now; the row of one that is gone is deleted. Nothing else sets a status.

    Raises Conflict where `event` cannot happen to it, Stale when it changed since it was read.
    """
    status = next_status(folder.status, event)
    is_it = (_c.id == folder.id, _c.revision == folder.revision)
    statement: Any = sa.update(t.vfolders).where(*is_it)
    statement = statement.values(
        status=status.value, status_changed_at=at, revision=_c.revision + 1
    )
    if status is FolderStatus.GONE:
        statement = sa.delete(t.vfolders).where(*is_it)
    if (await conn.execute(statement)).rowcount != 1:
        raise Stale(f"The folder {folder.name} changed in the meantime.")
    return status


async def note_use(conn: AsyncConnection, folder_id: uuid.UUID, at: datetime) -> None:
    await conn.execute(sa.update(t.vfolders).where(_c.id == folder_id).values(last_used_at=at))


async def lock_owner(conn: AsyncConnection, owner_id: uuid.UUID) -> None:
    """Let nobody else give this user or project a folder, or one a name, before the transaction
    ends."""
    await conn.execute(_LOCK, {"key": f"vfolders:{owner_id}"})


async def refuse_taken(conn: AsyncConnection, owner_id: uuid.UUID, name: str) -> None:
    """Raises VFolderExists where the user or project has a folder of that name already."""
    taken = sa.select(sa.literal(1)).where(_of_owner(owner_id), _c.name == name, _IS_LISTED)
    if await conn.scalar(taken):
        raise VFolderExists(f"There is a folder named {name} already.", {"name": name})


async def count_owned(conn: AsyncConnection, owner_id: uuid.UUID) -> int:
    """How many folders a user or a project has, those in the bin not counted."""
    counted = sa.select(sa.func.count()).where(_of_owner(owner_id), _IS_LISTED)
    return int(await conn.scalar(counted) or 0)


def is_on(proxies: Collection[str]) -> sa.ColumnElement[bool]:
    """Of a folder whose host is one of these storage proxies', or whose files are none's."""
    of_proxy = sa.func.split_part(_c.host, ":", 1).in_(sorted(proxies))
    return sa.or_(of_proxy, _c.unmanaged_path.is_not(None))


async def lock_unsettled(
    conn: AsyncConnection,
    status: FolderStatus,
    since: datetime,
    count_max: int,
    *where: sa.ColumnElement[bool],
) -> list[Folder]:
    """Folders that have been so since before `since`, in any order; what others look after now is
    left out."""
    overdue = (
        sa.select(_c.id)
        .where(_c.status == status.value, _c.status_changed_at < since, *where)
        .order_by(sa.func.random())
        .limit(count_max)
        .with_for_update(skip_locked=True)
    )
    ids = list(await conn.scalars(overdue))
    found = await conn.execute(sa.select(*_COLUMNS).select_from(JOINED).where(_c.id.in_(ids)))
    return [folder_of(row) for row in found.mappings()]


async def lock_folders(conn: AsyncConnection, where: sa.ColumnElement[bool]) -> list[Folder]:
    """Folders that nobody else changes before the transaction ends."""
    ids = list(await conn.scalars(sa.select(_c.id).where(where).order_by(_c.id).with_for_update()))
    found = await conn.execute(sa.select(*_COLUMNS).select_from(JOINED).where(_c.id.in_(ids)))
    return [folder_of(row) for row in found.mappings()]


async def find_keeper(conn: AsyncConnection, folder: Folder) -> uuid.UUID | None:
    """In whose name a manager works on a folder by itself: its owner, who made it, or any
    superadmin."""
    users = t.users.c
    statement = (
        sa.select(users.id)
        .where(
            sa.or_(
                users.id == folder.user_id,
                users.email == folder.creator,
                users.role == UserRole.SUPERADMIN.value,
            )
        )
        .order_by(
            (users.id == folder.user_id).desc().nulls_last(),
            (users.email == folder.creator).desc(),
            users.created_at,
        )
    )
    return await conn.scalar(statement.limit(1))


async def list_mounting(conn: AsyncConnection, folder_id: uuid.UUID) -> list[tuple[str, uuid.UUID]]:
    """Name and id of the live sessions that mount a folder, at most a few."""
    sessions, mounts = t.sessions.c, t.session_mounts.c
    statement = (
        sa.select(sessions.name, sessions.id)
        .join(t.session_mounts, mounts.session_id == sessions.id)
        .where(mounts.vfolder_id == folder_id, sessions.status.not_in(FINAL_WORDS))
        .distinct()
        .order_by(sessions.name, sessions.id)
        .limit(TOLD_MAX)
    )
    return [(row.name, row.id) for row in await conn.execute(statement)]


async def load_allowed_hosts(
    conn: AsyncConnection, actor: Actor, project_id: uuid.UUID | None = None
) -> AllowedHosts:
    """What is allowed to `actor` on which hosts: by the domain, the policy of the keypair, and the
    projects that `actor` is a member of, or `project_id` alone."""
    domains, projects, policies = t.domains.c, t.projects.c, t.keypair_policies.c
    members = t.project_members.c
    own = sa.select(members.project_id).where(members.user_id == actor.user_id)
    is_meant = projects.id == project_id if project_id is not None else projects.id.in_(own)
    kind, no_domain = sa.literal, sa.literal("")
    of_domain = sa.select(
        kind(GiverKind.DOMAIN.value), domains.name, domains.allowed_vfolder_hosts, no_domain
    ).where(domains.name == actor.domain)
    of_projects = sa.select(
        kind(GiverKind.PROJECT.value),
        projects.name,
        projects.allowed_vfolder_hosts,
        projects.domain_name,
    ).where(is_meant, projects.is_active)
    of_policy = sa.select(
        kind(GiverKind.POLICY.value), policies.name, policies.allowed_vfolder_hosts, no_domain
    ).where(policies.name == actor.policy)
    found = await conn.execute(sa.union_all(of_domain, of_projects, of_policy))
    givers = [Giver(GiverKind(kind), *values) for kind, *values in found]
    order = [*GiverKind]
    return AllowedHosts(tuple(sorted(givers, key=lambda each: (order.index(each.kind), each.name))))


def folder_of(row: Mapping[Any, Any]) -> Folder:
    values = {
        column: row[column]
        for column in (
            "id",
            "revision",
            "name",
            "host",
            "quota_scope_id",
            "user_id",
            "project_id",
            "creator",
            "cloneable",
            "status_changed_at",
            "unmanaged_path",
            "last_used_at",
            "created_at",
            "user_email",
            "project",
        )
    }
    return Folder(
        **values,
        domain=row["domain_name"],
        usage_mode=UsageMode(row["usage_mode"]),
        permission=Permission(row["permission"]),
        ownership=Ownership(row["ownership_type"]),
        status=FolderStatus(row["status"]),
        is_guarded=row["user_role"] == UserRole.SUPERADMIN.value,
    )


def _of_owner(owner_id: uuid.UUID) -> sa.ColumnElement[bool]:
    return sa.or_(_c.user_id == owner_id, _c.project_id == owner_id)


async def _lock(conn: AsyncConnection, folder_id: uuid.UUID) -> None:
    """Also against a session that is about to mount it: its row refers to this one."""
    await conn.execute(sa.select(_c.id).where(_c.id == folder_id).with_for_update())


def _administered_by(actor: Actor) -> sa.ColumnElement[bool]:
    guards = sa.select(t.users.c.id).where(t.users.c.role == UserRole.SUPERADMIN.value)
    is_guarded = sa.func.coalesce(_c.user_id.in_(guards), sa.false())
    return sa.and_(_c.domain_name == actor.domain, sa.not_(is_guarded))


def _shared(actor: Actor) -> sa.ScalarSelect[Any]:
    given = t.vfolder_permissions.c
    return (
        sa.select(given.permission)
        .where(given.vfolder_id == _c.id, given.user_id == actor.user_id)
        .scalar_subquery()
    )
