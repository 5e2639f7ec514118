"""Folders and the shares of them in GraphQL: pages of what somebody sees, as rows of the database.

How much is in a folder is what its storage proxy says, so nothing is filtered or ordered by it.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.render import iso
from backendai.manager.vfolders import store
from backendai.manager.vfolders.access import Seen
from backendai.manager.vfolders.model import FolderStatus, Ownership, Permission, UsageMode
from backendai.manager.vfolders.proxies import FolderUsage

from . import pages
from .columns import big_integer, boolean, identifier, integer, text, time, word_of
from .minilang import Column, Condition, Join
from .pages import Listing, Row, Wanted
from .selection import Info, selected
from .texts import read_id

FOLDERS_MAX: Final = 1000
_v, _p, _u = t.vfolders, t.vfolder_permissions, t.users
_OWNER: Final = Join(_u, _u.c.id == _v.c.user_id, optional=True)
_PROJECT: Final = Join(t.projects, t.projects.c.id == _v.c.project_id, optional=True)
# Limits are of quota scopes, and nobody counts what is in folders while they are listed.
_NO_SIZE: Final = sa.cast(sa.null(), sa.BigInteger)


def _word_of(kind: type[enum.StrEnum], **more: str) -> Callable[[object], str]:
    """As `word_of`, and by the names that official clients know."""
    known = word_of(kind)
    return lambda value: more.get(text(value).lower()) or known(value)


_read_permission: Final = _word_of(Permission, rw_delete="wd", owner_perm="wd")
_COLUMNS: Final[Mapping[str, Column]] = {
    "cloneable": Column(_v.c.cloneable, boolean),
    "created_at": Column(_v.c.created_at, time),
    "creator": Column(_v.c.creator, text),
    "cur_size": Column(_NO_SIZE, big_integer, filterable=False),
    "group": Column(_v.c.project_id, identifier),
    "group_name": Column(t.projects.c.name, text, joins=(_PROJECT,)),
    "host": Column(_v.c.host, text),
    "id": Column(_v.c.id, identifier),
    "last_used": Column(_v.c.last_used_at, time),
    "max_files": Column(sa.literal(0), integer),
    "max_size": Column(_NO_SIZE, big_integer),
    "name": Column(_v.c.name, text),
    "ownership_type": Column(_v.c.ownership_type, word_of(Ownership)),
    "permission": Column(_v.c.permission, _read_permission),
    "quota_scope_id": Column(_v.c.quota_scope_id, text),
    "status": Column(
        _v.c.status,
        _word_of(FolderStatus, delete_pending="delete-pending", delete_ongoing="deleting"),
    ),
    "unmanaged_path": Column(_v.c.unmanaged_path, text, orderable=False),
    "usage_mode": Column(_v.c.usage_mode, word_of(UsageMode)),
    "user": Column(_v.c.user_id, identifier),
    "user_email": Column(_u.c.email, text, joins=(_OWNER,)),
}
VFOLDERS: Final = Listing(_v, _v.c.id, store.JOINED, _COLUMNS, (_v.c.created_at,))

_GIVEN: Final = _p.join(_u, _u.c.id == _p.c.user_id).join(_v, _v.c.id == _p.c.vfolder_id)
_SHARE_ID: Final = sa.func.concat(_p.c.vfolder_id, ":", _p.c.user_id)
_SHARE_COLUMNS: Final[Mapping[str, Column]] = {
    "permission": Column(_p.c.permission, _read_permission),
    "user": Column(_p.c.user_id, identifier),
    "user_email": Column(_u.c.email, text),
    "vfolder": Column(_p.c.vfolder_id, identifier),
    "vfolder_name": Column(_v.c.name, text),
}
SHARES: Final = Listing(_GIVEN, _SHARE_ID, _GIVEN, _SHARE_COLUMNS, (_p.c.created_at,))


@dataclass(frozen=True, slots=True)
class VFolderView:
    """A folder as somebody sees it; `usage` where it was asked for and its proxy tells."""

    seen: Seen
    usage: FolderUsage | None = None


async def load_page(
    connection: AsyncConnection,
    actor: Actor,
    info: Info,
    args: Mapping[str, Any],
    *where: Condition,
) -> dict[str, Any]:
    """A page of the folders that `where` means, all of which `actor` has to see."""
    wanted = Wanted.read(args, selected(info))
    page = await pages.load_page(
        connection, VFOLDERS, wanted, [*where, *_narrowed(args)], store.seen_columns(actor)
    )
    return {"items": _views(actor, page.rows), "total_count": page.total}


async def load_folders(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any]
) -> list[VFolderView]:
    """`vfolders`: the first of what `actor` sees, by name."""
    statement = store.select_seen(actor, administered=True).where(*_narrowed(args))
    found = await connection.execute(statement.order_by(_v.c.name, _v.c.id).limit(FOLDERS_MAX))
    return _views(actor, found.mappings().all())


async def add_folders(
    connection: AsyncConnection, actor: Actor, rows: Sequence[Row]
) -> list[dict[Any, Any]]:
    """Rows of keypairs, each with the folders of its user."""
    users = {row["user_id"] for row in rows}
    statement = store.select_seen(actor, administered=True).where(
        _v.c.user_id.in_(users), *_narrowed({})
    )
    found = await connection.execute(statement.order_by(_v.c.name, _v.c.id).limit(FOLDERS_MAX))
    views = _views(actor, found.mappings().all())
    return [
        {**row, "vfolders": [v for v in views if v.seen.folder.user_id == row["user_id"]]}
        for row in rows
    ]


async def load_shares(
    connection: AsyncConnection, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`vfolder_permission_list`, of everybody."""
    wanted = Wanted.read(args, selected(info))
    shown = [_SHARE_ID.label("id"), *_p.c, _u.c.email, _v.c.name]
    page = await pages.load_page(connection, SHARES, wanted, [], shown)
    return {"items": page.rows, "total_count": page.total}


def _views(actor: Actor, rows: Sequence[Row]) -> list[VFolderView]:
    return [VFolderView(store.seen_of(actor, row)) for row in rows]


def _narrowed(args: Mapping[str, Any]) -> list[Condition]:
    """What is being deleted is not shown."""
    where: list[Condition] = [_v.c.status != FolderStatus.DELETING.value]
    if args.get("domain_name"):
        where.append(_v.c.domain_name == args["domain_name"])
    if args.get("group_id"):
        where.append(_v.c.project_id == read_id(args["group_id"]))
    if args.get("access_key"):
        keypairs = t.keypairs.c
        owner = sa.select(keypairs.user_id).where(keypairs.access_key == args["access_key"])
        where.append(_v.c.user_id.in_(owner))
    return where


def _text(value: object) -> str | None:
    return None if value is None else str(value)


FOLDER_FIELDS: Final[Mapping[str, Callable[[VFolderView], Any]]] = {
    "id": lambda view: str(view.seen.folder.id),
    "host": lambda view: view.seen.folder.host,
    "quota_scope_id": lambda view: view.seen.folder.quota_scope_id,
    "name": lambda view: view.seen.folder.name,
    "user": lambda view: _text(view.seen.folder.user_id),
    "user_email": lambda view: view.seen.folder.user_email,
    "group": lambda view: _text(view.seen.folder.project_id),
    "group_name": lambda view: view.seen.folder.project,
    "creator": lambda view: view.seen.folder.creator,
    "unmanaged_path": lambda view: view.seen.folder.unmanaged_path,
    "usage_mode": lambda view: view.seen.folder.usage_mode.value,
    # Who merely administers it sees what it is set to.
    "permission": lambda view: (view.seen.permission or view.seen.folder.permission).value,
    "ownership_type": lambda view: view.seen.folder.ownership.value,
    "max_files": lambda view: 0,
    "max_size": lambda view: None,
    "created_at": lambda view: iso(view.seen.folder.created_at),
    "last_used": lambda view: iso(view.seen.folder.last_used_at),
    "num_files": lambda view: None if view.usage is None else view.usage.file_count,
    "cur_size": lambda view: None if view.usage is None else view.usage.used_bytes,
    "cloneable": lambda view: view.seen.folder.cloneable,
    "status": lambda view: view.seen.folder.status.value,
}
SHARE_FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "id": lambda row: row["id"],
    "permission": lambda row: row["permission"],
    "vfolder": lambda row: str(row["vfolder_id"]),
    "vfolder_name": lambda row: row["name"],
    "user": lambda row: str(row["user_id"]),
    "user_email": lambda row: row["email"],
}
