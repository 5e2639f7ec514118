"""Makes folders: first the row, then the proxy, then `ready`; what fails in between is undone."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.enums import HostPermission
from backendai.common.faults import (
    Conflict,
    Fault,
    Forbidden,
    InsufficientPrivilege,
    InvalidParams,
    Kind,
    StoreUnavailable,
    VFolderCreationFailed,
)
from backendai.common.ids import IdSource
from backendai.common.logs import get_logger
from backendai.common.mounts import parse_directory
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import insert_row
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, may_manage
from backendai.manager.policies.reach import get_project
from backendai.manager.tasks.store import queue_task

from . import actions, store
from .allowed import require_on_host
from .limits import note_new
from .model import (
    Folder,
    FolderEvent,
    FolderStatus,
    Ownership,
    Permission,
    UsageMode,
    project_quota_scope,
    user_quota_scope,
)
from .names import check_name
from .proxies import Proxies
from .volumes import parse_host

log = get_logger(__name__)

# The name of the tasks that delete what is in a folder.
PURGE_FOLDER: Final = actions.PURGE.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFolder:
    """What is asked for: without a `project` one's own, without a `host` on the default one. With
    an `unmanaged_path` it is that directory of nodes, and on no host."""

    name: str
    host: str | None = None
    unmanaged_path: str | None = None
    project: str | None = None
    usage_mode: UsageMode = UsageMode.GENERAL
    permission: Permission = Permission.READ_WRITE
    cloneable: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a new folder is, and the limits of their policy; None is no limit."""

    ownership: Ownership
    id: uuid.UUID
    domain: str
    folders_max: int | None
    bytes_max: int | None

    @property
    def quota_scope_id(self) -> str:
        is_user = self.ownership is Ownership.USER
        return user_quota_scope(self.id) if is_user else project_quota_scope(self.id)


class FolderCreation:
    """Whoever is refused by a host or a limit has no folder; whoever is told 201 has one."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        proxies: Proxies,
        ids: IdSource,
        clock: Clock,
    ) -> None:
        self._database = database
        self._changes = changes
        self._proxies = proxies
        self._ids = ids
        self._clock = clock

    async def create(self, actor: Actor, new: NewFolder) -> Folder:
        """The folder, ready.

        Raises InvalidParams, Forbidden, ProjectNotFound, VFolderExists, StorageUnavailable, and
        VFolderCreationFailed.
        """
        new = settle_place(new)
        is_unmanaged = new.unmanaged_path is not None
        if is_unmanaged and not actor.is_superadmin:
            raise InsufficientPrivilege(
                "Only superadmins make a folder of a directory of nodes; name a host in its place."
            )
        status = FolderStatus.READY if is_unmanaged else FolderStatus.PERFORMING

        async def work(change: Change) -> tuple[Folder, Owner]:
            owner = await load_owner(change.connection, actor, new.project)
            self._refuse_type(owner)
            return await self.insert(change, owner, new, status), owner

        folder, owner = await self._changes.run(actor, actions.CREATE, work)
        return folder if is_unmanaged else await self._make(folder, owner)

    async def _make(self, folder: Folder, owner: Owner) -> Folder:
        try:
            await self._proxies.ensure_scope(folder.host, folder.quota_scope_id, owner.bytes_max)
            await self._proxies.create(folder)
        except Fault as fault:
            await give_up(self._database, folder, self._clock.now())
            raise _failed(fault) from fault
        return await self._finish(folder)

    async def insert(
        self, change: Change, owner: Owner, new: NewFolder, status: FolderStatus
    ) -> Folder:
        """The row of a folder that is about to be made. Raises as `create`."""
        conn, actor = change.connection, change.actor
        check_name(new.name, owner.ownership)
        is_project = owner.ownership is Ownership.PROJECT
        host = ""
        if new.unmanaged_path is None:
            host = await self._choose_host(conn, actor, new, owner.id if is_project else None)
        await store.lock_owner(conn, owner.id)
        await store.refuse_taken(conn, owner.id, new.name)
        await refuse_crowd(conn, owner)
        row = await insert_row(
            change,
            t.vfolders,
            {
                "id": self._ids.uuid(),
                "name": new.name,
                "domain_name": owner.domain,
                "host": host,
                "quota_scope_id": owner.quota_scope_id,
                "usage_mode": new.usage_mode.value,
                "permission": new.permission.value,
                "ownership_type": owner.ownership.value,
                "user_id": None if is_project else owner.id,
                "project_id": owner.id if is_project else None,
                "creator": actor.email,
                "cloneable": new.cloneable,
                "status": status.value,
                "status_changed_at": change.at,
                "unmanaged_path": new.unmanaged_path,
            },
        )
        if host:
            await note_new(conn, host, owner.quota_scope_id, owner.bytes_max)
        return await store.get_folder(conn, row["id"])

    async def _choose_host(
        self, conn: AsyncConnection, actor: Actor, new: NewFolder, project_id: uuid.UUID | None
    ) -> str:
        host = new.host or self._proxies.config.default_host
        if host is None:
            raise InvalidParams(facts={"host": "there is no default one; name <proxy>:<volume>"})
        parse_host(host)
        allowed = await store.load_allowed_hosts(conn, actor, project_id)
        require_on_host(allowed, host, HostPermission.CREATE)
        return host

    def _refuse_type(self, owner: Owner) -> None:
        types = self._proxies.config.types
        if owner.ownership not in types:
            told = ", ".join(sorted(types))
            raise InvalidParams(facts={"group": f"folders of this kind are off; allowed: {told}"})

    async def _finish(self, folder: Folder) -> Folder:
        async def work(conn: AsyncConnection) -> Folder:
            await store.move_folder(conn, folder, FolderEvent.MADE, self._clock.now())
            return await store.get_folder(conn, folder.id)

        try:
            return await self._database.transact(work)
        except Conflict as fault:
            raise VFolderCreationFailed("It took too long, and was undone.") from fault


def settle_place(new: NewFolder) -> NewFolder:
    """PURE: on a host, or of a directory of nodes, which newer official clients send as the host.
    Raises InvalidParams for both, and BadRequest for a directory that is none to use."""
    host, path = new.host, new.unmanaged_path
    if path is None and host is not None and host.startswith("/"):
        host, path = None, host
    if path is None:
        return new
    if host is not None:
        raise InvalidParams(facts={"unmanaged_path": "it is on no host; give one of the two"})
    return replace(new, host=None, unmanaged_path=parse_directory(path))


async def give_up(database: Database, folder: Folder, at: datetime) -> None:
    """Let what there may be of a folder be deleted. When even this fails, it is done later."""

    async def work(conn: AsyncConnection) -> None:
        await store.move_folder(conn, folder, FolderEvent.FAILED, at)
        await queue_purge(conn, folder)

    try:
        await database.transact(work)
    except (StoreUnavailable, Conflict) as fault:
        log.warning("vfolder.left_unsettled", folder=str(folder.id), detail=fault.detail)


async def queue_purge(conn: AsyncConnection, folder: Folder) -> None:
    """A task that deletes what is in a folder, in the name of whom it concerns."""
    keeper = await store.find_keeper(conn, folder)
    if keeper is not None:
        await queue_task(conn, PURGE_FOLDER, purge_params(folder), keeper)


def purge_params(folder: Folder) -> dict[str, str]:
    """Of the task; whose the folder is may watch it."""
    owner = {} if folder.user_id is None else {"owner_id": str(folder.user_id)}
    return {"folder_id": str(folder.id), **owner}


async def load_owner(conn: AsyncConnection, actor: Actor, project: str | None) -> Owner:
    """`actor`, or the project that they administer. Raises ProjectNotFound and Forbidden."""
    if project is None:
        return await load_user_owner(conn, actor.user_id)
    found = await get_project(conn, actor, project)
    if not may_manage(actor, found.domain) and found.id not in actor.administers:
        raise Forbidden("Only administrators make folders of projects.")
    return await load_project_owner(conn, found.id)


async def load_project_owner(conn: AsyncConnection, project_id: uuid.UUID) -> Owner:
    policies, projects = t.project_policies.c, t.projects.c
    statement = (
        sa.select(projects.domain_name, policies.max_vfolder_count, policies.max_quota_scope_size)
        .join(t.projects, projects.resource_policy == policies.name)
        .where(projects.id == project_id)
    )
    domain, count, size = (await conn.execute(statement)).one()
    return Owner(Ownership.PROJECT, project_id, domain, _limit(count), _limit(size))


async def load_user_owner(conn: AsyncConnection, user_id: uuid.UUID) -> Owner:
    policies, users = t.user_policies.c, t.users.c
    statement = (
        sa.select(users.domain_name, policies.max_vfolder_count, policies.max_quota_scope_size)
        .join(t.users, users.resource_policy == policies.name)
        .where(users.id == user_id)
    )
    domain, count, size = (await conn.execute(statement)).one()
    return Owner(Ownership.USER, user_id, domain, _limit(count), _limit(size))


async def refuse_crowd(conn: AsyncConnection, owner: Owner) -> None:
    """Raises InvalidParams when the owner may have no further folder."""
    if owner.folders_max is None:
        return
    if await store.count_owned(conn, owner.id) >= owner.folders_max:
        raise InvalidParams(
            f"The policy allows {owner.folders_max} folders; delete one first.",
            {"max_vfolder_count": owner.folders_max},
        )


def _limit(value: int) -> int | None:
    """In policies zero and less are no limit."""
    return value if value > 0 else None


def _failed(fault: Fault) -> Fault:
    """An outage stays one; what a proxy refuses is why no folder was made."""
    if fault.kind is Kind.UNAVAILABLE or isinstance(fault, InvalidParams):
        return fault
    return VFolderCreationFailed(fault.detail or fault.title)
